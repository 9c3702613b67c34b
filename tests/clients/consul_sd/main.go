// Follows services as one entry of `consul_sd_configs` says, with what Prometheus has for that, and prints each group of
// targets that it makes: the service, and the labels of each target, sorted.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	prom "github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"go.yaml.in/yaml/v2"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func main() {
	var config consul.SDConfig
	must(yaml.UnmarshalStrict([]byte(os.Args[1]), &config))
	registry := prom.NewRegistry()
	metrics := config.NewDiscovererMetrics(registry, discovery.NewRefreshMetrics(registry))
	must(metrics.Register())
	follower, err := config.NewDiscoverer(discovery.DiscovererOptions{Metrics: metrics})
	must(err)
	groups := make(chan []*targetgroup.Group)
	go follower.Run(context.Background(), groups)
	for group := range groups {
		for _, g := range group {
			labels := make([]model.LabelSet, 0, len(g.Targets))
			for _, target := range g.Targets {
				labels = append(labels, g.Labels.Merge(target))
			}
			text, err := json.Marshal(labels)
			must(err)
			fmt.Println(g.Source, string(text))
		}
	}
}
