"""`python -m k8s.preflight`: looks at a cluster before the install and says what is missing.

The chart is rendered with the given values (`rendering`), what the objects ask for becomes `Needs`
(`needs` and `references`, pure), the cluster and the registries are read (`cluster`, `registry`),
and `judgements` (pure) compare both. Nothing is created: the only requests besides GET are
SelfSubjectAccessReviews and dry runs, which the API server answers and does not store.
"""
