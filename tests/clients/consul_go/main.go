// Three instances of a service through the Go client of Consul, with watch plans: does as it is told line by line, and
// prints what it sees.
package main

import (
	"bufio"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

func must(err error) {
	if err != nil {
		fmt.Println("failed", err)
		os.Exit(1)
	}
}

func id(n int) string { return fmt.Sprintf("go-%d", n) }

func register(client *api.Client, n int) {
	must(client.Agent().ServiceRegister(&api.AgentServiceRegistration{
		ID: id(n), Name: "go", Address: "127.0.0.1", Port: 8000 + n, Tags: []string{"v1", "Blue"},
		Meta:  map[string]string{"n": fmt.Sprint(n)},
		Check: &api.AgentServiceCheck{TTL: "60s", DeregisterCriticalServiceAfter: "10m"},
	}))
}

func beat(client *api.Client, n int, status string) {
	must(client.Agent().UpdateTTL("service:"+id(n), "by the client", status))
}

func follow(address string, parameters map[string]interface{}, handler watch.HandlerFunc) {
	plan, err := watch.Parse(parameters)
	must(err)
	plan.Handler = handler
	go func() { must(plan.Run(address)) }()
}

// What a client asks once.
func look(client *api.Client) {
	self, err := client.Agent().Self()
	must(err)
	services, meta, err := client.Catalog().Services(nil)
	must(err)
	filtered, _, err := client.Health().Service("go", "blue", true,
		&api.QueryOptions{Filter: `Service.Meta.n != "0"`, AllowStale: true})
	must(err)
	pair, _, err := client.KV().Get("nothing/here", nil)
	must(err)
	status, info, err := client.Agent().AgentHealthServiceByID(id(0))
	must(err)
	own, err := client.Agent().ServicesWithFilter(`Service == "go"`)
	must(err)
	checks, err := client.Agent().Checks()
	must(err)
	service, query, err := client.Agent().Service(id(0), nil)
	must(err)
	nodes, _, err := client.Catalog().Nodes(nil)
	must(err)
	node, _, err := client.Catalog().Node(nodes[0].Node, nil)
	must(err)
	state, _, err := client.Health().State("any", nil)
	must(err)
	leader, err := client.Status().Leader()
	must(err)
	members, err := client.Agent().Members(false)
	must(err)
	fmt.Println("looked", self["Config"]["Datacenter"], services["go"] != nil, meta.KnownLeader, meta.LastIndex > 0,
		len(filtered), pair == nil, status, info.Service.Port, len(own), len(checks), service.Port,
		query.LastContentHash != "", node != nil, len(state) > 3, leader != "", len(members))
}

func main() {
	address := os.Args[1]
	client, err := api.NewClient(&api.Config{Address: address})
	must(err)
	for n := 0; n < 3; n++ {
		register(client, n)
	}
	follow(address, map[string]interface{}{"type": "service", "service": "go", "passingonly": true},
		func(_ uint64, raw interface{}) {
			if entries, ok := raw.([]*api.ServiceEntry); ok {
				fmt.Println("passing", len(entries))
			}
		})
	follow(address, map[string]interface{}{"type": "services"}, func(_ uint64, raw interface{}) {
		if services, ok := raw.(map[string][]string); ok {
			_, there := services["go"]
			fmt.Println("listed", there)
		}
	})
	for n := 0; n < 3; n++ {
		beat(client, n, api.HealthPassing)
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		begun := time.Now()
		switch lines.Text() {
		case "look":
			look(client)
		case "again":
			register(client, 0)
		case "beat":
			for n := 0; n < 3; n++ {
				beat(client, n, api.HealthPassing)
			}
		case "fail":
			beat(client, 0, api.HealthCritical)
		case "maintain":
			must(client.Agent().EnableServiceMaintenance(id(1), "by the client"))
		case "leave":
			for n := 0; n < 3; n++ {
				must(client.Agent().ServiceDeregister(id(n)))
			}
		}
		fmt.Println("done", lines.Text(), time.Since(begun).Milliseconds())
	}
}
