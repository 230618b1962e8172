"""Rate limits that are exact across replicas: one script call decides over all buckets or none."""
