"""Callers who know the right answer, and tell whether they got it.

`answers` reads what came back, `questions` makes requests whose right answers a reference engine
gives, `caller` asks as a client does that repeats what never arrived, `verdicts` compares, and
`crowd` keeps many callers at work.
"""
