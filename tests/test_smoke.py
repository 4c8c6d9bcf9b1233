from nestling.models import Checkpoint, Predictor


def test_predicts(checkpoint: Checkpoint) -> None:
    predictor = Predictor(checkpoint, "tiny")
    decisions = predictor.predict(["how do i say goodbye in french", "play some music"])
    assert [len(d.steps) for d in decisions] == [1, 1]
    assert all(0 < d.relative_cost < 1 for d in decisions)
