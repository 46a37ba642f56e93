"""What this program takes from diffusers, imported in one place.

While diffusers is imported it puts another module into its own place. A second thread that imports it meanwhile would
be handed the first one, which is empty; here it waits, since Python lets one thread alone run a module.
"""

import diffusers
from diffusers import ConfigMixin, ModelMixin
from diffusers.configuration_utils import register_to_config

__all__ = ["ConfigMixin", "ModelMixin", "diffusers", "register_to_config"]
