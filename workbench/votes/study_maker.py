"""Clips for studies from the registry's models, by the service that makes every clip."""

from workbench.clips.generation import GenerationService
from workbench.requests.systems import System
from workbench.votes.study_clips import Made, Maker


def registry_maker(service: GenerationService) -> Maker:
    """Makes a clip, keeps it in the store with its manifest, and hands over its frames without loss."""

    def make(system: System, prompt: str, seed: int, frames: int) -> Made:
        saved = service.generate(system.model, system.request(prompt, seed, frames))
        return Made(saved.result.frames, saved.result.fps, saved.path.stem, saved.manifest.weights_digest)

    return make
