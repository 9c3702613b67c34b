import com.ecwid.consul.v1.ConsulClient;
import com.ecwid.consul.v1.QueryParams;
import com.ecwid.consul.v1.agent.model.NewService;
import com.ecwid.consul.v1.catalog.CatalogServicesRequest;
import com.ecwid.consul.v1.health.HealthServicesRequest;
import java.util.List;
import java.util.Map;

/** Ecwid's client, that Spring Cloud Consul had until its version 4; with blocking queries. */
class Ecwid implements Main.Client {
    private static final int WAIT_S = 30;
    private final ConsulClient consul;
    private final String host;
    private final int port;

    Ecwid(String host, int port) {
        this.host = host;
        this.port = port;
        consul = new ConsulClient(host, port);
    }

    private static String id(int n) {
        return "ecwid-" + n;
    }

    @Override
    public void register(int n) {
        NewService service = new NewService();
        NewService.Check check = new NewService.Check();
        check.setTtl("60s");
        check.setDeregisterCriticalServiceAfter("10m");
        service.setId(id(n));
        service.setName("ecwid");
        service.setAddress("127.0.0.1");
        service.setPort(8000 + n);
        service.setTags(List.of("v1", "Blue"));
        service.setMeta(Map.of("n", String.valueOf(n)));
        service.setCheck(check);
        consul.agentServiceRegister(service);
    }

    @Override
    public void beat(int n) {
        consul.agentCheckPass("service:" + id(n), "by the client");
    }

    @Override
    public void fail(int n) {
        consul.agentCheckFail("service:" + id(n), "by the client");
    }

    @Override
    public void maintain(int n) {
        consul.agentServiceSetMaintenance(id(n), true, "by the client");
    }

    @Override
    public void leave(int n) {
        consul.agentServiceDeregister(id(n));
    }

    private static HealthServicesRequest passing(QueryParams query) {
        return HealthServicesRequest.newBuilder().setPassing(true).setTag("blue").setQueryParams(query).build();
    }

    @Override
    public String look() {
        var services = consul.getCatalogServices(CatalogServicesRequest.newBuilder().build());
        var found = consul.getHealthServices("ecwid", passing(QueryParams.DEFAULT));
        var first = found.getValue().get(0);
        return String.join(" ", consul.getAgentSelf().getValue().getConfig().getDatacenter(),
                String.valueOf(services.getValue().get("ecwid")), String.valueOf(services.isConsulKnownLeader()),
                String.valueOf(services.getConsulLastContact() >= 0),
                String.valueOf(found.getValue().size()), first.getNode().getNode(),
                String.valueOf(first.getService().getPort()),
                String.valueOf(consul.getHealthChecksForService("ecwid", QueryParams.DEFAULT).getValue().size()),
                String.valueOf(consul.getAgentServices().getValue().size()),
                String.valueOf(consul.getAgentChecks().getValue().size()),
                String.valueOf(consul.getKVValue("nothing/here").getValue()),
                String.valueOf(consul.getStatusLeader().getValue().contains(":")),
                String.valueOf(consul.getStatusPeers().getValue().size()));
    }

    @Override
    public void follow() {
        ConsulClient own = new ConsulClient(host, port);
        Thread thread = new Thread(() -> {
            for (long index = 0; ; ) {
                var found = own.getHealthServices("ecwid", passing(new QueryParams(WAIT_S, index)));
                index = found.getConsulIndex();
                Main.say("passing " + found.getValue().size());
            }
        });
        thread.setDaemon(true);
        thread.start();
    }
}
