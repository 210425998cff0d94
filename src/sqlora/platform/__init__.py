"""The local Bedrock without HTTP: training jobs, custom models, deployments and usage, in one SQLite file."""
