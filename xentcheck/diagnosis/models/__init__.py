"""Models: known forms of the losses, against which the results of an implementation are held."""

from xentcheck.diagnosis.models.catalogue import Model, models_of, sound_model

__all__ = ["Model", "models_of", "sound_model"]
