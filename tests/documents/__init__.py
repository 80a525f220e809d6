"""The examples that README and docs/ show, and the checks that each of them holds to the last word.

An example is run (tests/integration/documents), or checked here without being run, or listed in
`listed` with the reason why it is neither.
"""
