"""The kinds of artefact that manifests name."""

CHECKPOINT = "checkpoint"
DATA = "data"
PSEUDO = "pseudo"
MIX = "mix"
STATE = "state"
PREDICTIONS = "predictions"
TEACHER_STATES = "teacher_states"
