package cluster

import "errors"

// NewDocker is the cluster of docker/compose.yml.
func NewDocker(Options) (Cluster, error) { return nil, errors.New("not yet") }
