"""One vLLM OpenAI server with settings that suit a pool's replica.

Owns the mapping from few arguments to vLLM's many; imports nothing of ours, and of vLLM nothing
at all: it checks its arguments and then becomes the server. `race` is what runs inside vLLM where
drafts from outside are to be verified.
"""
