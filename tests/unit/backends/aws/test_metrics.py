from __future__ import annotations

from sqlora.backends.aws.metrics import TRAINING, VALIDATION, Loss, parse_losses, read_losses
from sqlora.platform.customization_metrics import as_csv

ARN = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/amazon.nova-micro-v1:0:128k/abcdefghijkl"
FOLDER = "s3://larkspur/out/model-customization-job-abcdefghijkl/"


def test_the_files_of_the_server() -> None:
    data = as_csv("training_loss", [(0, 0, 2.5, 12.18), (1, 0, 1.5, 4.48), (2, 1, 0.5, 1.65)])
    assert parse_losses(data) == [Loss(0, 0, 2.5), Loss(1, 0, 1.5), Loss(2, 1, 0.5)]


def test_other_headings_and_rows_without_numbers() -> None:
    data = b"\xef\xbb\xbfstep, epoch_number ,Validation_Loss\r\n1,0,0.75\r\n2,0,nan\r\n3,,\r\n,0,0.5\r\n4,x,0.25\r\n"
    assert parse_losses(data) == [Loss(1, 0, 0.75), Loss(4, 0, 0.25)]


def test_what_is_no_table() -> None:
    assert parse_losses(None) == parse_losses(b"") == parse_losses(b"\xff\xfe\x00") == parse_losses(b"a,b\n1") == []


def test_both_places_of_the_validation_file_are_looked_at() -> None:
    losses = as_csv("validation_loss", [(0, 0, 0.75, 2.1)])
    for place in VALIDATION:
        files = {FOLDER + TRAINING: as_csv("training_loss", [(0, 0, 2.5, 12.2)]), FOLDER + place: losses}
        assert read_losses(files.get, "s3://larkspur/out/", ARN) == ([Loss(0, 0, 2.5)], [Loss(0, 0, 0.75)])
    assert read_losses({}.get, "s3://larkspur/out", ARN) == ([], [])
