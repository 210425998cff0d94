"""The on-demand server: wire adaptors of Bedrock, SageMaker and OpenAI over the project being served."""
