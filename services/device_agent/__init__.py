"""What runs on a device: a small model that answers alone, or drafts for a server to verify.

`drafters` holds the kinds of models, `drafting` what to draft and send; `answers` decides who
answers, `link` keeps the connection to the gateway, `membership` does the gateway's work, `api` is
the OpenAI API for applications on the device. Of the gateway, all see `gateway.protocol` alone.
"""
