"""The process that runs sync jobs and keeps the index tidy."""
