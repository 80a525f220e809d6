"""What the console at `/` shows: the `feed` of what has just happened, which an `onlooker` fills.

Nothing is made or kept while nobody looks. Imports core, errors and the shapes of protocol.
"""
