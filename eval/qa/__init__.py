"""Question answering benchmarks: their files, predictions, scores, judges and reports."""
