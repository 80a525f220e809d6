"""Paths of the engines' API that the gateway relays, and of the way back to a stream."""

CHAT = "/v1/chat/completions"
COMPLETIONS = "/v1/completions"
RESPONSES = "/v1/responses"
EMBEDDINGS = "/v1/embeddings"
TOKENIZE = "/tokenize"
STREAMS = "/v1/streams"
DETOKENIZE = "/detokenize"
