"""The race, inside vLLM: drafts from outside join the step that runs anyway, which never waits.

`mailbox` receives drafts, `branches` keeps those that may still come true (`session` and `tree`
for one session), and `scheduler` gives each step what continues the verified text of an eligible
request (`eligibility`). `worker`, `greedy` and `comparison` verify; `server` is the entry point.
Imports vLLM, the names of `services.vllm_server.arguments` and the server's `platform_worker` and
`step_wait`, and of the gateway `protocol.mailbox` alone.
"""
