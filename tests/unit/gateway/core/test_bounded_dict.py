from gateway.core.bounded_dict import BoundedDict


def test_the_oldest_entry_goes_when_there_is_one_too_many() -> None:
    bounded = BoundedDict[str, int](2)
    bounded["a"], bounded["b"], bounded["c"] = 1, 2, 3
    assert dict(bounded) == {"b": 2, "c": 3}


def test_an_entry_that_is_set_again_is_the_newest() -> None:
    bounded = BoundedDict[str, int](2)
    bounded["a"], bounded["b"], bounded["a"], bounded["c"] = 1, 2, 3, 4
    assert dict(bounded) == {"a": 3, "c": 4}
