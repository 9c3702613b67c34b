import com.google.common.net.HostAndPort;
import java.util.List;
import java.util.Map;
import org.kiwiproject.consul.Consul;
import org.kiwiproject.consul.cache.ServiceHealthCache;
import org.kiwiproject.consul.model.State;
import org.kiwiproject.consul.model.agent.ImmutableRegCheck;
import org.kiwiproject.consul.model.agent.ImmutableRegistration;
import org.kiwiproject.consul.option.ImmutableQueryOptions;

/** The client of the Kiwi project (once Orbitz'), with its cache. */
class Kiwi implements Main.Client {
    private static final int READ_WITHIN_MS = 30000; // longer than its cache waits
    private final Consul consul;

    Kiwi(String host, int port) {
        consul = Consul.builder().withHostAndPort(HostAndPort.fromParts(host, port))
                .withReadTimeoutMillis(READ_WITHIN_MS).build();
    }

    private static String id(int n) {
        return "kiwi-" + n;
    }

    @Override
    public void register(int n) {
        consul.agentClient().register(ImmutableRegistration.builder().id(id(n)).name("kiwi").address("127.0.0.1")
                .port(8000 + n).tags(List.of("v1", "Blue")).meta(Map.of("n", String.valueOf(n)))
                .check(ImmutableRegCheck.builder().ttl("60s").deregisterCriticalServiceAfter("10m").build()).build());
    }

    @Override
    public void beat(int n) throws Exception {
        consul.agentClient().pass(id(n), "by the client");
    }

    @Override
    public void fail(int n) throws Exception {
        consul.agentClient().fail(id(n), "by the client");
    }

    @Override
    public void maintain(int n) {
        consul.agentClient().toggleMaintenanceMode(id(n), true, "by the client");
    }

    @Override
    public void leave(int n) {
        consul.agentClient().deregister(id(n));
    }

    @Override
    public String look() throws Exception {
        var catalog = consul.catalogClient();
        var health = consul.healthClient();
        var blue = health.getHealthyServiceInstances("kiwi", ImmutableQueryOptions.builder().addTag("blue")
                .filter("Service.Meta.n != \"0\"").build());
        var node = catalog.getNodes().getResponse().get(0).getNode();
        return String.join(" ", consul.agentClient().getAgent().getConfig().getDatacenter(),
                String.valueOf(catalog.getServices().getResponse().get("kiwi")),
                String.valueOf(catalog.getService("kiwi").getResponse().size()),
                String.valueOf(blue.getResponse().size()), String.valueOf(blue.isKnownLeader()),
                String.valueOf(catalog.getNode(node).getResponse().getServices().size()),
                String.valueOf(health.getServiceChecks("kiwi").getResponse().size()),
                String.valueOf(health.getChecksByState(State.PASS).getResponse().size() >= 3),
                String.valueOf(consul.agentClient().getServices().size()),
                String.valueOf(consul.agentClient().getChecks().size()),
                String.valueOf(consul.agentClient().isRegistered(id(0))),
                String.valueOf(consul.keyValueClient().getValue("nothing/here").isPresent()),
                String.valueOf(consul.statusClient().getLeader().contains(":")),
                String.valueOf(consul.statusClient().getPeers().size()));
    }

    @Override
    public void follow() {
        ServiceHealthCache cache = ServiceHealthCache.newCache(consul.healthClient(), "kiwi");
        cache.addListener(found -> Main.say("passing " + found.size()));
        cache.start();
    }
}
