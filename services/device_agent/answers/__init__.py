"""Answers: who gives one, the device alone or a server that verifies, and how it comes about.

`answer_router` chooses; `local_answer` and `verified_answer` are the two ways. Imports the agent's
`link`, `drafting` and `drafters`, and of the gateway the wire of sessions.
"""
