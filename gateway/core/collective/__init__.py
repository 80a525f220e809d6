"""The rules of a collective.

Which members are asked (`selection`, by `similarity` and measured quality), how many answers a
round needs (`quorum`) and when they are enough (`early_exit`), how much answers agree (`answers`)
and how one is chosen (`voting`, `likeliest`) or made by a model that reads them (`templates`, with
`untrusted` texts made harmless), and what the outcome (`report`) teaches about its members
(`lessons`).

Imports errors, and of core what lies in no room, `core.devices` and `core.state`.
"""
