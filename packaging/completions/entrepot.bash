# Written from the code: python -m tests.docs.manual_pages
_entrepot() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} path= word at files=
    local follow= options=
    COMPREPLY=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        case "$word" in
            --after|--answers|--burst|--certificate|--certificate-subject|--config|--credential|--credentials|--days|--environment|--expires|--fingerprint|--fleet|--format|--from|--header|--hours|--hub|--in-flight-max|--jti|--keep|--keys|--lane|--limit|--minutes|--operations|--option|--out|--overlap|--pack|--plan|--policy|--public-key|--rate|--rate-per-second|--reason|--region|--release-key|--requests-per-day-max|--role|--scope|--seconds|--settle-seconds|--sign-with|--since|--source|--state|--subject|--tls-ca|--to|--type|--url|--verify|--wait) ((at++)) ;;
            -*) ;;
            *) case "$path $word" in
                   " init"|" run"|" demo"|" check"|" reload"|" revision"|" revision show"|" revision override"|" revision resume"|" revision veto"|" status"|" source"|" source list"|" source pause"|" source resume"|" letters"|" letters list"|" letters show"|" letters retry"|" letters release"|" letters discard"|" access"|" access grant"|" access rotate"|" access revoke"|" access list"|" access audit"|" onboard"|" replay"|" topology"|" topology show"|" topology apply"|" topology hub-config"|" enrol"|" fleet"|" fleet enrol"|" fleet enrol new"|" fleet enrol list"|" fleet enrol approve"|" fleet enrol deny"|" fleet enrol renew"|" fleet enrol revoke"|" fleet enrol issue"|" adopt"|" verify"|" schema"|" map"|" map test"|" map coverage"|" map new"|" map render"|" adapter"|" adapter new"|" packs"|" packs list"|" packs show"|" doctor"|" certify"|" hq"|" hq verify"|" hq tail"|" hq export"|" journal"|" journal verify"|" journal stats"|" journal export"|" journal backup"|" journal repair"|" journal restore") path="$path $word" ;;
               esac ;;
        esac
    done
    case "$path:$prev" in
        *":--config") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " init:--answers") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " demo:--seconds") return ;;
        " demo:--rate") return ;;
        " demo:--keep") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " revision override:--hours") return ;;
        " revision override:--reason") return ;;
        " revision override:--to") return ;;
        " revision veto:--reason") return ;;
        " source pause:--reason") return ;;
        " letters list:--state") COMPREPLY=($(compgen -W 'open draining discarded' -- "$cur")); return ;;
        " letters list:--limit") return ;;
        " letters list:--after") return ;;
        " letters retry:--source") return ;;
        " access grant:--scope") return ;;
        " access grant:--role") return ;;
        " access grant:--expires") return ;;
        " access grant:--certificate") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " access grant:--fingerprint") return ;;
        " access grant:--certificate-subject") return ;;
        " access grant:--subject") return ;;
        " access grant:--rate-per-second") return ;;
        " access grant:--burst") return ;;
        " access grant:--in-flight-max") return ;;
        " access grant:--requests-per-day-max") return ;;
        " access rotate:--overlap") return ;;
        " access rotate:--expires") return ;;
        " access revoke:--credential") return ;;
        " access revoke:--scope") return ;;
        " access revoke:--subject") return ;;
        " access revoke:--jti") return ;;
        " access audit:--limit") return ;;
        " access audit:--after") return ;;
        " onboard:--url") return ;;
        " replay:--source") return ;;
        " replay:--from") return ;;
        " replay:--to") return ;;
        " topology hub-config:--plan") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " topology hub-config:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " enrol:--wait") return ;;
        " fleet enrol new:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol new:--hours") return ;;
        " fleet enrol new:--release-key") return ;;
        " fleet enrol new:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol list:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol approve:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol approve:--fleet") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol deny:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol deny:--reason") return ;;
        " fleet enrol renew:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol revoke:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol revoke:--operations") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol issue:--keys") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " fleet enrol issue:--days") return ;;
        " fleet enrol issue:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " adopt:--reason") return ;;
        " verify:--hub") return ;;
        " verify:--region") return ;;
        " verify:--public-key") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " verify:--credentials") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " verify:--tls-ca") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " schema:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " map test:--pack") return ;;
        " map test:--header") return ;;
        " map test:--option") return ;;
        " map coverage:--pack") return ;;
        " map coverage:--header") return ;;
        " map coverage:--option") return ;;
        " map coverage:--policy") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " map new:--from") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " map new:--type") return ;;
        " map new:--to") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " adapter new:--to") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " doctor:--bundle") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " certify:--minutes") return ;;
        " certify:--out") return ;;
        " certify:--verify") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " certify:--public-key") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq verify:--hub") return ;;
        " hq verify:--credentials") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq verify:--tls-ca") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq verify:--environment") COMPREPLY=($(compgen -W 'test prod' -- "$cur")); return ;;
        " hq verify:--keys") return ;;
        " hq verify:--state") return ;;
        " hq verify:--sign-with") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq verify:--settle-seconds") return ;;
        " hq tail:--hub") return ;;
        " hq tail:--credentials") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq tail:--tls-ca") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq tail:--environment") COMPREPLY=($(compgen -W 'test prod' -- "$cur")); return ;;
        " hq tail:--region") return ;;
        " hq tail:--lane") return ;;
        " hq tail:--type") return ;;
        " hq tail:--since") return ;;
        " hq export:--hub") return ;;
        " hq export:--credentials") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq export:--tls-ca") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " hq export:--environment") COMPREPLY=($(compgen -W 'test prod' -- "$cur")); return ;;
        " hq export:--region") return ;;
        " hq export:--lane") return ;;
        " hq export:--type") return ;;
        " hq export:--since") return ;;
        " hq export:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " journal export:--format") COMPREPLY=($(compgen -W 'csv json' -- "$cur")); return ;;
        " journal export:--out") compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return ;;
        " journal export:--lane") return ;;
    esac
    case "$path" in
        "") follow='init run demo check reload revision status source letters access onboard replay topology enrol fleet adopt verify schema map adapter packs doctor certify hq journal' options='--config --help --json --version' files= ;;
        " init") follow='' options='--answers --config --help --json' files= ;;
        " run") follow='' options='--config --help --json' files= ;;
        " demo") follow='' options='--config --help --json --keep --rate --seconds' files= ;;
        " check") follow='' options='--config --help --json' files= ;;
        " reload") follow='' options='--config --help --json' files= ;;
        " revision") follow='show override resume veto' options='--config --help --json' files= ;;
        " revision show") follow='' options='--config --help --json' files= ;;
        " revision override") follow='' options='--config --help --hours --json --reason --to' files= ;;
        " revision resume") follow='' options='--config --help --json' files= ;;
        " revision veto") follow='' options='--config --help --json --reason' files= ;;
        " status") follow='' options='--config --help --json' files= ;;
        " source") follow='list pause resume' options='--config --help --json' files= ;;
        " source list") follow='' options='--config --help --json' files= ;;
        " source pause") follow='' options='--config --help --json --reason' files= ;;
        " source resume") follow='' options='--config --help --json' files= ;;
        " letters") follow='list show retry release discard' options='--config --help --json' files= ;;
        " letters list") follow='' options='--after --config --help --json --limit --state' files= ;;
        " letters show") follow='' options='--config --help --json --unmask' files= ;;
        " letters retry") follow='' options='--config --help --json --source' files= ;;
        " letters release") follow='' options='--config --help --json' files= ;;
        " letters discard") follow='' options='--config --help --json' files= ;;
        " access") follow='grant rotate revoke list audit' options='--config --help --json' files= ;;
        " access grant") follow='' options='--burst --certificate --certificate-subject --config --expires --fingerprint --help --in-flight-max --json --key --rate-per-second --requests-per-day-max --role --scope --subject' files= ;;
        " access rotate") follow='' options='--config --expires --help --json --overlap' files= ;;
        " access revoke") follow='' options='--config --credential --help --json --jti --scope --subject' files= ;;
        " access list") follow='' options='--config --help --json' files= ;;
        " access audit") follow='' options='--after --config --help --json --limit' files= ;;
        " onboard") follow='' options='--config --help --json --url' files= ;;
        " replay") follow='' options='--config --dry-run --from --help --json --source --to' files= ;;
        " topology") follow='show apply hub-config' options='--config --help --json' files= ;;
        " topology show") follow='' options='--config --help --json' files= ;;
        " topology apply") follow='' options='--config --help --json' files= ;;
        " topology hub-config") follow='' options='--config --help --json --out --plan' files= ;;
        " enrol") follow='' options='--config --help --json --wait' files=yes ;;
        " fleet") follow='enrol' options='--config --help --json' files= ;;
        " fleet enrol") follow='new list approve deny renew revoke issue' options='--config --help --json' files= ;;
        " fleet enrol new") follow='' options='--config --help --hours --json --keys --out --release-key --websocket' files= ;;
        " fleet enrol list") follow='' options='--config --help --json --keys' files= ;;
        " fleet enrol approve") follow='' options='--config --fleet --help --json --keys' files= ;;
        " fleet enrol deny") follow='' options='--config --help --json --keys --reason' files= ;;
        " fleet enrol renew") follow='' options='--config --help --json --keys' files= ;;
        " fleet enrol revoke") follow='' options='--config --help --json --keys --operations' files= ;;
        " fleet enrol issue") follow='' options='--config --days --help --json --keys --out' files= ;;
        " adopt") follow='' options='--config --help --json --reason --yes' files= ;;
        " verify") follow='' options='--config --credentials --help --hub --json --public-key --region --tls-ca' files= ;;
        " schema") follow='' options='--asyncapi --config --help --json --mapping --openapi --out --pack --rendering' files= ;;
        " map") follow='test coverage new render' options='--config --help --json' files= ;;
        " map test") follow='' options='--config --header --help --json --option --pack' files=yes ;;
        " map coverage") follow='' options='--all --config --header --help --json --option --pack --policy' files=yes ;;
        " map new") follow='' options='--config --from --help --json --to --type' files= ;;
        " map render") follow='' options='--config --help --json' files=yes ;;
        " adapter") follow='new' options='--config --help --json' files= ;;
        " adapter new") follow='' options='--config --help --json --to' files= ;;
        " packs") follow='list show' options='--config --help --json' files= ;;
        " packs list") follow='' options='--config --help --json' files= ;;
        " packs show") follow='' options='--config --help --json' files= ;;
        " doctor") follow='' options='--bundle --config --help --json' files= ;;
        " certify") follow='' options='--config --help --json --minutes --out --public-key --verify' files= ;;
        " hq") follow='verify tail export' options='--config --help --json' files= ;;
        " hq verify") follow='' options='--config --credentials --environment --help --hub --json --keys --once --settle-seconds --sign-with --state --tls-ca' files= ;;
        " hq tail") follow='' options='--config --credentials --environment --help --hub --json --lane --region --since --tls-ca --type --withheld' files= ;;
        " hq export") follow='' options='--config --credentials --environment --help --hub --json --lane --out --region --since --tls-ca --type --withheld' files= ;;
        " journal") follow='verify stats export backup repair restore' options='--config --help --json' files= ;;
        " journal verify") follow='' options='--config --help --json' files= ;;
        " journal stats") follow='' options='--config --help --json' files= ;;
        " journal export") follow='' options='--config --dispositions --format --help --json --lane --out' files= ;;
        " journal backup") follow='' options='--config --help --json --with-keys' files=yes ;;
        " journal repair") follow='' options='--config --help --json --yes' files= ;;
        " journal restore") follow='' options='--config --help --json' files=yes ;;
    esac
    if [[ $cur == -* ]]; then COMPREPLY=($(compgen -W "$options" -- "$cur")); return; fi
    if [[ -n $files ]]; then compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$cur"); return; fi
    COMPREPLY=($(compgen -W "$follow" -- "$cur"))
}
complete -F _entrepot entrepot
