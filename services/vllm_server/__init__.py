"""One vLLM OpenAI server with settings that suit a pool's replica.

Owns the mapping from few arguments to vLLM's many; it imports nothing of vLLM: it checks its
arguments and then becomes the server. `race` is what runs inside vLLM where drafts from outside
are to be verified. Of the gateway it sees nothing but `gateway.protocol`: the wire by which drafts
come, models on the hub, and how a command line is read.
"""
