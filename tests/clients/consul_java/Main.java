import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.stream.IntStream;

/** Three instances of a service through a client for Java: does as it is told line by line, and prints what it sees. */
public class Main {
    interface Client {
        void register(int n) throws Exception;

        void beat(int n) throws Exception;

        void fail(int n) throws Exception;

        void maintain(int n) throws Exception;

        void leave(int n) throws Exception;

        String look() throws Exception;

        /** Says how many are passing, whenever that changes. From a thread of its own. */
        void follow() throws Exception;
    }

    static synchronized void say(String text) {
        System.out.println(text);
        System.out.flush();
    }

    private static void step(Client client, String line) throws Exception {
        int[] all = IntStream.range(0, 3).toArray();
        switch (line) {
            case "look" -> say("looked " + client.look());
            case "again" -> client.register(0);
            case "fail" -> client.fail(0);
            case "maintain" -> client.maintain(1);
            case "beat" -> {
                for (int n : all) {
                    client.beat(n);
                }
            }
            case "leave" -> {
                for (int n : all) {
                    client.leave(n);
                }
            }
            default -> throw new IllegalArgumentException(line);
        }
    }

    public static void main(String[] arguments) throws Exception {
        String[] address = arguments[1].split(":");
        int port = Integer.parseInt(address[1]);
        Client client = arguments[0].equals("kiwi") ? new Kiwi(address[0], port) : new Ecwid(address[0], port);
        for (int n = 0; n < 3; n++) {
            client.register(n);
        }
        client.follow();
        step(client, "beat");
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in));
        for (String line; (line = lines.readLine()) != null; ) {
            long begun = System.nanoTime();
            step(client, line);
            say("done " + line + " " + (System.nanoTime() - begun) / 1000000);
        }
        System.exit(0);
    }
}
