from collections import Counter
from random import Random

from services.model_family.dataset import trainable
from services.model_family.further_pass import AGGREGATE_SHARE, FIRST_SHARE, AlonePlan, FurtherPlan
from services.model_family.tasks import first
from services.model_family.tasks.example import Example
from services.model_family.wordings import OUTSIDE, is_wording, kinds, plain, wordings


def test_there_are_hundreds_of_questions_of_every_kind_and_none_is_there_twice() -> None:
    asked = wordings()
    counts = Counter(wording.kind for wording in asked)
    assert sum(counts.values()) - counts[OUTSIDE] >= 300 and counts[OUTSIDE] >= 150
    assert all(counts[kind] >= 30 for kind in kinds(asked))
    both = [plain(wording.question) for wording in (*asked, *wordings("tuning"))]
    assert len(set(both)) == len(both)


def test_a_wording_is_never_trained_on_however_it_is_written() -> None:
    for wording in wordings():
        for text in (wording.question, f"  {wording.question.upper()} "):
            example = Example(task="t", domain="dialogue", prompt=text, answer="")
            assert is_wording(text) and not trainable(example)


def test_the_further_pass_draws_every_task_and_first_questions_most() -> None:
    plan = FurtherPlan()
    tasks = plan.training_tasks()
    shares = plan.weights([1.0 + (n % 3) for n in range(len(tasks))])
    assert len(shares) == len(tasks) and all(share > 0 for share in shares)
    by_name = {task.name: share for task, share in zip(tasks, shares, strict=True)}
    assert abs(sum(shares) - 1) < 1e-9
    assert abs(by_name["aggregate"] - AGGREGATE_SHARE) < 1e-9
    assert abs(sum(by_name[task.name] for task in first.TASKS) - FIRST_SHARE) < 1e-9


def test_the_smallest_member_alone_learns_no_long_texts_but_the_others_read_answers() -> None:
    for tier, reads in (("device", False), ("edge", True)):
        plan = AlonePlan(tier)
        tasks = plan.training_tasks()
        shares = dict(
            zip((task.name for task in tasks), plan.weights([1.0] * len(tasks)), strict=True)
        )
        assert all((shares[name] > 0) is reads for name in ("aggregate", "edit_list", "edit_code"))
        assert abs(sum(shares.values()) - 1) < 1e-9


def test_the_tasks_draw_few_of_the_wordings_by_themselves() -> None:
    """They were written apart: what the templates happen to say as well is skipped, and rare."""
    rng, drawn = Random(1), set()
    for task in first.TASKS:
        drawn |= {plain(task.example(rng).prompt) for _ in range(1000)}
    asked = [plain(wording.question) for wording in wordings()]
    assert sum(text in drawn for text in asked) < 0.2 * len(asked)
