"""A Nova recipe (YAML) and what its values mean for the local base model.

`sqlora.train.nova` has the file's shape, defaults and limits. Nova's values stay as they are in the file, and this
table says what they train here:

| the recipe's | limits | default | the local recipe's |
|---|---|---|---|
| trainer.max_epochs | 1 – 1000 | 2 | epochs, as given |
| global_batch_size | 16, 32, 64 | 64 | batch_size = global_batch_size / 16, so 1, 2, 4 |
| model.optim.lr | 1e-7 – 1e-3 | 1e-5 | learning_rate = 2.5e-3 · √(lr / 1e-5), as for Bedrock's jobs |
| model.optim.sched.warmup_steps | 1 – 20 | 10 | warmup_steps, as given |
| model.optim.weight_decay | 0 – 1 | 0 | weight_decay, as given (1 becomes 0.999) |
| model.peft.lora_tuning.alpha | 32, 64 … 192 | 128 | alpha = alpha / 4, so 8, 16 … 48, over the rank of 16 |
| model.peft.lora_tuning.loraplus_lr_ratio | 0 – 100 | 16 | b_ratio = ratio / 16, a ratio below 1 counting as 1 |
| max_length | 1024 – 8192 (p4d, p5: 32768), × 1024 | 8192 | checked only: the base model's context bounds a record |
| the four dropouts | 0 – 1 | 0; adapter 0.01 | checked only: the local trainer has no dropout |
| sched.constant_steps, sched.min_lr, optim's adam values | | | checked only: the local trainer has its own |
| peft.peft_scheme | lora | lora | null, all weights, is refused: there is no on-demand deployment of such |
| run.model_type, run.model_name_or_path | a Nova model | micro | the project's base model; a checkpoint is refused |
| run.replicas | the job's InstanceCount | 1 | checked only: one machine trains |
| run.data_s3_path, run.output_s3_path | empty | empty | of HyperPod; a training job has channels |
| run.mlflow_* | any text | | nothing is sent to MLflow |

So the recipe as it comes trains with the local recipe's measured defaults (docs/LOG.md). The service trains all its
epochs, so nothing stops early; the adapter kept is that of the best validation.
"""

from __future__ import annotations

from sqlora.platform.hyperparameters import NEVER, local_rate
from sqlora.train.nova import NovaRecipe
from sqlora.train.recipe import Recipe

RECIPE_NAME = "sagemaker"
LARGEST_DECAY = 0.999


def local_recipe(recipe: NovaRecipe) -> Recipe:
    """What a recipe of Nova's trains here; the module's table."""
    config, optimizer = recipe.training_config, recipe.training_config.model.optim
    lora = config.model.peft.lora_tuning
    return Recipe(
        name=RECIPE_NAME,
        epochs=config.trainer.max_epochs,
        batch_size=config.global_batch_size // 16,
        learning_rate=local_rate(optimizer.lr),
        warmup_steps=optimizer.sched.warmup_steps,
        weight_decay=min(optimizer.weight_decay, LARGEST_DECAY),
        alpha=lora.alpha / 4,
        b_ratio=max(lora.loraplus_lr_ratio, 1.0) / 16,
        patience=NEVER,
    )
