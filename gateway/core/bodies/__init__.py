"""A request's body: its fields, how large it may be, and the media that it names."""
