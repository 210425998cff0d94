"""What the two AWS backends share: the account, its errors, S3, roles, deployments, answers and their bill."""
