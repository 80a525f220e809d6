"""What every request goes through, whichever way it is answered.

A handler puts the `lifecycle` around its work: admission, the outcome and its end. `dispatch` and
`verifiers` choose an endpoint, and `attempts` decides what a failure there leads to. A request that
no endpoint can take may wait in `scale_from_zero`. `relay` passes an engine's own answer on;
`engine_calls` are requests that the gateway makes itself for a cascade or a collective.
`progress_timeout` ends the waits for engines and callers.

Imports core, errors and protocol, and nothing of serving outside this folder: the other rooms of
serving build on it.
"""
