"""Requests of the inference routes as they come in: headers and bodies within their bounds, and
what is made of them."""
