"""What happens to a request between the web edge and the engines.

`requests` has what every request goes through; `chat` what cascades and collectives share of the
chat API; `cascade` and `collective` compose an answer of others'; `devices` serves the devices that
draft and work. It sees core, errors and the wire formats of `gateway.protocol`, whose frames are
checked values once decoded; beside the standard library it uses msgspec, orjson and structlog. It
knows no web framework, client library, store or metrics: a contract holds that.
"""
