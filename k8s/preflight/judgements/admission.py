"""Whether the namespace takes the pods: the API server's own word, and the pod security level."""

from __future__ import annotations

import re
from collections.abc import Mapping

from k8s.preflight.facts import Admission, Reading, Unread
from k8s.preflight.needs import Needs, PodNeed
from k8s.preflight.report import Finding, Result

ENFORCE = "pod-security.kubernetes.io/enforce"
TODOS = (
    ("violates PodSecurity", "change securityContext in the values, or the level of the namespace"),
    ("exceeded quota", "ask for a larger ResourceQuota, or lower replicas, requests, limits"),
    ("must specify", "write these requests and limits in the values: a ResourceQuota counts them"),
    ("usage per", "the LimitRange of the namespace has other bounds: change requests and limits"),
    ("service account", "create it, or let the chart do it: serviceAccount.create"),
    ("PriorityClass", "create the class, or leave priorityClassName empty"),
    ("RuntimeClass", "install what brings the class, or leave runtimeClassName empty"),
    ("^namespaces ", "create the namespace, or name one that exists in the values"),
    ("not currently held", "ask somebody who has these rights to install it"),
    ("already allocated", "name a port that is free, or none, and the cluster chooses one"),
    ("denied the request", "a policy of this cluster forbids it: ask who keeps it"),
    ("failed calling webhook", "bring the webhook up, or have its policy leave this namespace out"),
)
OTHER_TODO = "correct what the API server names in the values"
ASK = "ask for the right to create pods here, or look at the events after the install"


def admission(
    needs: Needs,
    namespace: Reading[Mapping[str, str] | None],
    answers: Mapping[str, Reading[Admission]],
    *,
    upgrade: bool,
) -> list[Finding]:
    """`answers` by the pods' owner; empty where there is no namespace to ask about."""
    return [
        _pod_security(namespace, answers),
        *(_of_pods(pod, answers[pod.owner], upgrade=upgrade) for pod in _each(needs, answers)),
    ]


def remedy(refusal: str) -> str:
    """What to do about a refusal of an API server."""
    return next((do for sign, do in TODOS if re.search(sign, refusal)), OTHER_TODO)


def _each(needs: Needs, answers: Mapping[str, Reading[Admission]]) -> list[PodNeed]:
    return [pod for pod in needs.pods if pod.owner in answers]


def _pod_security(
    namespace: Reading[Mapping[str, str] | None], answers: Mapping[str, Reading[Admission]]
) -> Finding:
    check = "pod security"
    if isinstance(namespace, Unread):
        return Finding(check=check, result=Result.NOT_CHECKED, found=namespace.reason)
    if namespace is None:
        todo = "create it and run this again, if it gets labels, quotas or policies of its own"
        found = "the namespace is not there yet"
        return Finding(check=check, result=Result.OK, found=found, todo=todo)
    level = namespace.get(ENFORCE, "privileged")
    found = f"{level} is enforced"
    if level == "privileged":
        return Finding(check=check, result=Result.OK, found="no level is enforced")
    against = [
        owner
        for owner, answer in answers.items()
        if isinstance(answer, Admission) and "violates PodSecurity" in answer.refusal
    ]
    if against:
        todo = f"{', '.join(sorted(against))} violate it: see their rows"
        return Finding(check=check, result=Result.MISSING, found=found, todo=todo)
    if any(isinstance(answer, Unread) for answer in answers.values()):
        return Finding(check=check, result=Result.NOT_CHECKED, found=found, todo=ASK)
    return Finding(check=check, result=Result.OK, found=f"{found}, and no pod violates it")


def _of_pods(pod: PodNeed, answer: Reading[Admission], *, upgrade: bool) -> Finding:
    check = f"admission of {pod.owner}"
    if isinstance(answer, Unread):
        return Finding(check=check, result=Result.NOT_CHECKED, found=answer.reason, todo=ASK)
    if not answer.refusal:
        return Finding(check=check, result=Result.OK, found="a dry run was accepted")
    todo = remedy(answer.refusal)
    # What runs already gives its part of a quota back, what is scaled to zero takes none yet, and
    # nobody waits for a chart's test.
    full = "exceeded quota" in answer.refusal and (upgrade or pod.asleep)
    passing = full or pod.is_test
    result = Result.WARNING if passing else Result.MISSING
    return Finding(check=check, result=result, found=answer.refusal, todo=todo)
