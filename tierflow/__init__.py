"""`tierflow`: one command for everything. What a part needs is imported when it is asked for.

It is also the one name that an installation has beside other people's packages: the parts of the
repository (`gateway`, `services`, ...) lie inside it then, and only its own processes find them.
"""
