# Completion of muster(1) for bash: commands, their options, and the services that there are.

_muster_options() {
    local register="--port --host --id --type --tag --meta --ttl --zone --weight"
    local filters="--health --type --zone --tag --meta"
    case $1 in
    register) echo "$register --check" ;;
    run)
        echo "--name $register --active-check --check --check-interval --check-timeout --unhealthy-after" \
            "--healthy-after --drain --stop-timeout --adopt-environment --"
        ;;
    heartbeat) echo "--status --note --check" ;;
    maintenance) echo "--reason" ;;
    list) echo "--service $filters --checks" ;;
    discover) echo "--strategy --near $filters" ;;
    watch) echo "--type --id --event --after --snapshot" ;;
    token) echo "create list show revoke bootstrap --service --write --operator --metrics --events --ttl --description" ;;
    policy) echo "create list show delete --subject --service --write --operator --metrics --events --ttl --description" ;;
    ready) echo "--wait" ;;
    namespace) echo "list set delete --instances --bytes --writes" ;;
    tls) echo "init --out --client --uri --days" ;;
    backup) echo "--verify --force --consistency" ;;
    zmq-key) echo "--out" ;;
    bench)
        echo "--connections --threads --duration --requests --warmup --rate --instances --services" \
            "--ttl --batch --limit --consistency --watchers --via --prefix --reuse --keep"
        ;;
    esac
}

# Asks the registry, and gives up soon: nobody waits for a completion.
_muster_services() {
    muster --timeout 1s services 2>/dev/null | sed '1d; s/  .*//'
}

_muster() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands="register heartbeat deregister maintenance services list show discover watch run status ready members member leader token policy namespace backup tls zmq-key bench"
    local globals="--server --output --namespace --timeout --help --version"
    local command="" words="" i
    for ((i = 1; i < COMP_CWORD; i++)); do
        if [[ ${COMP_WORDS[i]} == -- ]]; then
            COMPREPLY=($(compgen -c -f -- "$current"))
            return
        fi
        if [[ -z $command && " $commands " == *" ${COMP_WORDS[i]} "* ]]; then
            command=${COMP_WORDS[i]}
        fi
    done
    case $previous in
    --output) words="table json" ;;
    --consistency) words="stale linearizable" ;;
    --operator) words="read write" ;;
    --via) words="stream poll" ;;
    --strategy) words="random round_robin first weighted" ;;
    --status) words="passing warning critical" ;;
    --health) words="any passing warning critical maintenance" ;;
    --event) words="registered updated deregistered expired recovered reaped health maintenance" ;;
    --service) words=$(_muster_services) ;;
    --*)
        if [[ " --snapshot --checks --write --metrics --events --reuse --keep --verify --force --adopt-environment --help --version " != *" $previous "* ]]; then
            return # its value is the user's
        fi
        ;;
    esac
    if [[ -z $words ]]; then
        if [[ $current == -* ]]; then
            words="$(_muster_options "$command") $globals"
        elif [[ -z $command ]]; then
            words=$commands
        elif [[ $command == discover || $command == watch ]]; then
            words=$(_muster_services)
        elif [[ $command == backup ]]; then
            COMPREPLY=($(compgen -f -- "$current"))
            return
        elif [[ $command == bench ]]; then
            words="register heartbeat discover watch"
        elif [[ $command == maintenance ]]; then
            words="on off"
        fi
    fi
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}

complete -F _muster muster
