"""The composition root: builds the gateway out of its settings, inside the running event loop.

The only place that knows which adapter stands behind which port. `parts` starts everything on one
AsyncExitStack, so that whatever fails at start or stop, everything that was started is stopped;
`web` makes the routes of the parts, and `app` the gateway of both.
`pools` and `endpoints` make the endpoints and keep them current, `state` chooses the store,
`shared` holds what every way of answering draws on; `devices`, `cascade` and `collective` build on
that. It may import everything of the gateway; only the command lines import it.
"""
