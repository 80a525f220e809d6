"""The OpenAI API that the device offers to its own applications.

It checks a request, has `answers` answer it, and writes the reply; `gateway_proxy` passes on what
only the gateway can do. No other room of the agent imports it.
"""
