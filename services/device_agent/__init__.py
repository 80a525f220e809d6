"""What runs on a device: a small model that answers alone, or drafts for a server to verify.

Owns the drafting, the link to the gateway and the OpenAI API for applications on the device.
Sees of the gateway nothing but `gateway.protocol`.
"""
