"""The OpenAI API that the device offers to its own applications."""
