"""Models: known forms of the losses, against which the results of an implementation are held."""

from xentcheck.diagnosis.models.catalogue import Model, models_of, sound_model
from xentcheck.diagnosis.models.powers import CALL_SHIFTS

__all__ = ["CALL_SHIFTS", "Model", "models_of", "sound_model"]
