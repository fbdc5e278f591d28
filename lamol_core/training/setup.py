"""Load and train the models of one training with the same device, dtype, attention and seed."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from accelerate import Accelerator, PartialState
from transformers import PreTrainedModel

from lamol_core.errors import ConfigError
from lamol_core.methods.memory import Memory
from lamol_core.methods.terms import Loss
from lamol_core.models.checkpoints import backbone_of, load_model, require_positions
from lamol_core.models.head import linear_head, without_own_rows
from lamol_core.models.params import AdapterParams
from lamol_core.models.precision import resolve_attention, resolve_compile, resolve_precision
from lamol_core.text.encoded import EncodedRow
from lamol_core.training.hidden_states import as_body
from lamol_core.training.params import TrainParams
from lamol_core.training.resume import LogRow, Resume
from lamol_core.training.teacher.interface import Teacher
from lamol_core.training.teacher.stored import StoredTeacher
from lamol_core.training.trainer import Trainer, count_steps


class TrainingSetup:
    """Loads and trains the models of one training: the student, and the expert if there is one.
    `rows` set the longest row that a model must accept. `reserved`: the ids of the reserved tokens,
    whose embeddings are trained beside an adapter."""

    def __init__(
        self,
        params: TrainParams,
        adapter: AdapterParams,
        rows: Sequence[EncodedRow],
        reserved: Sequence[int],
        seed: int,
        on_step: Callable[[LogRow, int], None],
    ) -> None:
        rate = {"learning_rate": adapter.learning_rate} if adapter.is_used else {}
        self.params = params.model_copy(update=rate)
        self._adapter, self._reserved = adapter, reserved
        self._seed, self._on_step = seed, on_step
        self._longest = max((row.num_longest for row in rows), default=0)
        self.dtype = resolve_precision(params.precision, PartialState().device)
        self.accelerator = Accelerator(mixed_precision="no")
        self.attention = resolve_attention(params.attention, self.accelerator.device)

    def load(self, checkpoint: Path) -> PreTrainedModel:
        # attention to packed rows is set only while it trains
        attention = "eager" if self.attention == "packed" else self.attention
        model = load_model(checkpoint, self.accelerator.device, self.dtype, attention)
        require_positions(model, self._longest, "text.max_length")
        return model

    def load_student(self, checkpoint: Path) -> PreTrainedModel:
        """A model to train on from a checkpoint: all its weights, or its adapter alone. A backbone
        gets a new adapter. Raises ConfigError where params.yaml describes another adapter."""
        if not self._adapter.is_used:
            return self.load(checkpoint)
        from lamol_core.models.adapters import add_adapter, load_adapter

        backbone = backbone_of(checkpoint)
        model = self.load(backbone or checkpoint)
        add_adapter(model, self._adapter, self._reserved, self._seed)
        if backbone is not None:
            load_adapter(model, checkpoint)
        return model

    def load_teacher(
        self, checkpoint: Path, student: Callable[[], PreTrainedModel]
    ) -> PreTrainedModel:
        """The model of a checkpoint, to distil from. One with an adapter that will run beside the
        student, which is loaded then, uses the same copy of the backbone."""
        if not self._adapter.is_used:
            return self.load(checkpoint)
        from lamol_core.models.adapters import share_backbone

        if self.params.teacher_targets == "offline":
            merged = self.load(checkpoint)
            if linear_head(merged) is not None:
                return merged
            del merged  # its states would not do: see open_teacher
        return share_backbone(student())

    def share_head(self, teacher: Teacher | None, student: PreTrainedModel) -> None:
        """Let a stored teacher use the student's head, which an adapter leaves as it is but for
        the rows of reserved tokens. A large model's head takes a gigabyte."""
        if self._adapter.is_used and isinstance(teacher, StoredTeacher) and teacher.head:
            table, own = without_own_rows(student.get_output_embeddings())
            teacher.head = teacher.head.on(table.weight.detach(), own)

    def resume_at(
        self, folder: Path | None, inputs: Mapping[str, Any], keeps_end: bool = False
    ) -> Resume | None:
        """The Resume in a folder; None without a folder, and with several processes, each of which
        would need its own random state."""
        if folder is None or self.accelerator.num_processes > 1:
            return None
        return Resume(folder, inputs, keeps_end)

    def fit(
        self,
        model: PreTrainedModel,
        rows: Sequence[EncodedRow],
        loss: Loss,
        teacher: Teacher | None,
        memory: Memory,
        resume: Resume | None = None,
    ) -> list[LogRow]:
        """Train a model in place; returns its log, one row per step."""
        params = self.params
        if params.gradient_checkpointing:
            checkpoint_activations(model)
        # 6 N D: forward and backward of all parameters, for every token of every step; frozen ones
        # have no gradient of their own; tokens that rows share are counted each time
        tokens = sum(len(view.ids) for row in rows for view in row.views(loss.views))
        epochs = count_steps(len(rows), params) * params.batch_size / max(len(rows), 1)
        num, trained = model.num_parameters(), model.num_parameters(only_trainable=True)
        flops = (4.0 * num + 2.0 * trained) * tokens * epochs
        compiled = resolve_compile(params.compile, flops, self.accelerator.device)
        with as_body(model, self.attention, compiled) as body:
            trainer = Trainer(self.accelerator, body, teacher, loss, params, memory)
            log_rows = trainer.train(rows, self._seed, self._on_step, resume)
        # Accelerate holds on to every model it prepared: an expert would stay beside its student
        self.accelerator.free_memory()
        return log_rows


def checkpoint_activations(model: PreTrainedModel) -> None:
    """Keep only the inputs of the model's blocks, and compute the rest again in the backward. This
    takes less memory and more time. Raises ConfigError where the model does not support it."""
    try:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    except ValueError as error:
        raise ConfigError(
            f"params.yaml: train.gradient_checkpointing: {type(model).__name__} does not support "
            "it. Set it to false, and lower train.micro_batch_tokens where memory is short."
        ) from error
