"""Clips for studies from the registry's models, by the service that makes every clip."""

from models.types import GenerationRequest
from workbench.clips.generation import GenerationService
from workbench.votes.studies import System
from workbench.votes.study_clips import Made, Maker


def registry_maker(service: GenerationService) -> Maker:
    """Makes a clip, keeps it in the store with its manifest, and hands over its frames without loss."""

    def make(system: System, prompt: str, seed: int, frames: int) -> Made:
        ffe = system.first_steps > 0
        request = GenerationRequest(prompt, system.steps, ffe, system.first_steps or 4, frames, seed)
        saved = service.generate(system.model, request)
        return Made(saved.result.frames, saved.result.fps, saved.path.stem, saved.manifest.weights_digest)

    return make
