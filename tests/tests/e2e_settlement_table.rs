//! What is charged for every way in which a request can end, by rule and protocol, as tables. What the
//! words in them mean: `tests/src/settlement.rs`, and for the endings `tests/src/settlement/endings.rs`.

use anyhow::Result;
use creditgate_tests::settlement::is_charged;

/// What the upstream and the client do.
const ENDINGS: &str = "
rule        protocol  ok  refused  failed  reset  cut_off  left  uploading  aborted  refused_aborted  bare5  bare13

on_success  http1      5        5       0      0        0     5          5        5                5      -       -
on_success  http2      5        5       0      0        0     5          5        5                5      -       -
on_success  grpc       5        5       0      0        0     5          5        5                -      5       0
on_success  sse       17        E       0      0        0     E          -        P                E      -       -
on_success  sse2      17        E       0      0        0     E          -        P                E      -       -
on_success  json      17        E       0      0        0     E          -        E                E      -       -
on_success  json2     17        E       0      0        0     E          -        E                E      -       -

always      http1      5        5       5      5        5     5          5        5                5      -       -
always      http2      5        5       5      5        5     5          5        5                5      -       -
always      grpc       5        5       5      5        5     5          5        5                -      5       5
always      sse       17        E       E      E        P     E          -        P                E      -       -
always      sse2      17        E       E      E        P     E          -        P                E      -       -
always      json      17        E       E      E        E     E          -        E                E      -       -
always      json2     17        E       E      E        E     E          -        E                E      -       -

lenient     http1      5        0       0      5        5     M          M        M                0      -       -
lenient     http2      5        0       0      5        5     M          M        M                0      -       -
lenient     grpc       5        0       0      5        5     M          M        M                -      0       0
lenient     sse       17        0       0      E        P     M          -        M                0      -       -
lenient     sse2      17        0       0      E        P     M          -        M                0      -       -
lenient     json      17        0       0      E        E     M          -        M                0      -       -
lenient     json2     17        0       0      E        E     M          -        M                0      -       -

bytes       http1      6        6       0      0        0     2          2        B                B      -       -
bytes       http2      6        6       0      0        0     2          2        B                B      -       -
bytes       grpc      10       10       0      0        0     2          2        B                -      2       0
metered     sse       17        E       0      0        0     E          -        P                E      -       -
metered     sse2      17        E       0      0        0     E          -        P                E      -       -
metered     json      17        E       0      0        0     E          -        E                E      -       -
metered     json2     17        E       0      0        0     E          -        E                E      -       -
expected    sse       17        E       0      0        0     E          -        P                E      -       -
expected    sse2      17        E       0      0        0     E          -        P                E      -       -
expected    json      17        E       0      0        0     E          -        E                E      -       -
expected    json2     17        E       0      0        0     E          -        E                E      -       -
";

/// What Envoy does. One that it redirects by itself is two for the filter, of which the upstream did not
/// answer the first: `always` charges both.
const PROXY: &str = "
rule        protocol  timed_out  expired  late  stalled  overlong  replied  filtered  unrouted  unreachable  overflow  retried  used_up  redirected  capped  curtailed

on_success  http1             0        0     5        5         5        0         0         0            0         0        5        0         0+5       0          5
on_success  http2             0        0     5        5         5        0         0         0            0         0        5        0         0+5       0          5
on_success  grpc              0        0     5        5         5        0         0         0            0         0        5        0         0+5       0          5
on_success  sse               0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
on_success  sse2              0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
on_success  json              0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E
on_success  json2             0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E

always      http1             5        5     5        5         5        5         5         5            5         5        5        5         5+5       5          5
always      http2             5        5     5        5         5        5         5         5            5         5        5        5         5+5       5          5
always      grpc              5        5     5        5         5        5         5         5            5         5        5        5         5+5       5          5
always      sse               E        E     P        P         P        E         E         E            E         E       17        E        E+17       E          P
always      sse2              E        E     P        P         P        E         E         E            E         E       17        E        E+17       E          P
always      json              E        E     E        E         E        E         E         E            E         E       17        E        E+17       E          E
always      json2             E        E     E        E         E        E         E         E            E         E       17        E        E+17       E          E

lenient     http1             M        M     M        M         M        0         0         0            5         0        5        0         0+5       M          M
lenient     http2             M        M     M        M         M        0         0         0            5         0        5        0         0+5       M          M
lenient     grpc              M        M     M        M         M        0         0         0            5         0        5        0         0+5       M          M
lenient     sse               M        M     M        M         M        0         0         0            E         0       17        0        0+17       M          M
lenient     sse2              M        M     M        M         M        0         0         0            E         0       17        0        0+17       M          M
lenient     json              M        M     M        M         M        0         0         0            E         0       17        0        0+17       M          M
lenient     json2             M        M     M        M         M        0         0         0            E         0       17        0        0+17       M          M

bytes       http1             0        0     B      100         B        0         0         0            0         0        6        0         0+6       0          B
bytes       http2             0        0     B      100         B        0         0         0            0         0        6        0         0+6       0          B
bytes       grpc              0        0     B       10         B        0         0         0            0         0       10        0        0+10       0          B
metered     sse               0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
metered     sse2              0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
metered     json              0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E
metered     json2             0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E
expected    sse               0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
expected    sse2              0        0     P        P         P        0         0         0            0         0       17        0        0+17       0          P
expected    json              0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E
expected    json2             0        0     E        E         E        0         0         0            0         0       17        0        0+17       0          E
";

/// What rules say that charge always, but for one cause.
const CAUSES: &str = "
rule        protocol  ok  failed  reset  left  aborted  timed_out  expired  late  replied  filtered  unrouted  unreachable  overflow  retried  used_up  capped

no_local    http1      5       5      5     5        5          5        5     5        0         0         0            5         5        5        5       5
no_local    http2      5       5      5     5        5          5        5     5        0         0         0            5         5        5        5       5
no_local    grpc       5       5      5     5        5          5        5     5        0         0         0            5         5        5        5       5
no_local    sse       17       E      E     E        P          E        E     P        0         0         0            E         E       17        E       E
no_local    sse2      17       E      E     E        P          E        E     P        0         0         0            E         E       17        E       E

no_silent   http1      5       5      0     5        5          0        0     5        5         5         5            0         0        5        5       0
no_silent   http2      5       5      0     5        5          0        0     5        5         5         5            0         0        5        5       0
no_silent   grpc       5       5      0     5        5          0        0     5        5         5         5            0         0        5        5       0
no_silent   sse       17       E      0     E        P          0        0     P        E         E         E            0         0       17        E       0
no_silent   sse2      17       E      0     E        P          0        0     P        E         E         E            0         0       17        E       0

flagged     http1      5       5      5     5        5          5        5     5        5         5         5            M         M        5        5       5
flagged     http2      5       5      5     5        5          5        5     5        5         5         5            M         M        5        5       5
flagged     grpc       5       5      5     5        5          5        5     5        5         5         5            M         M        5        5       5
flagged     sse       17       E      E     E        P          E        E     P        E         E         E            M         M       17        E       E
flagged     sse2      17       E      E     E        P          E        E     P        E         E         E            M         M       17        E       E

tried       http1      5       5      5     5        5          5        5     5        5         5         5            5         5        M        M       5
tried       http2      5       5      5     5        5          5        5     5        5         5         5            5         5        M        M       5
tried       grpc       5       5      5     5        5          5        5     5        5         5         5            5         5        M        M       5
tried       sse       17       E      E     E        P          E        E     P        E         E         E            E         E        M        M       E
tried       sse2      17       E      E     E        P          E        E     P        E         E         E            E         E        M        M       E

no_retries  http1      5       5      5     5        5          5        5     5        5         5         5            5         5        5        0       5
no_retries  http2      5       5      5     5        5          5        5     5        5         5         5            5         5        5        0       5
no_retries  grpc       5       5      5     5        5          5        5     5        5         5         5            5         5        5        0       5
no_retries  sse       17       E      E     E        P          E        E     P        E         E         E            E         E       17        0       E
no_retries  sse2      17       E      E     E        P          E        E     P        E         E         E            E         E       17        0       E
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charge_is_what_the_rule_says_for_every_ending_and_protocol() -> Result<()> {
    is_charged(ENDINGS).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_charge_is_what_the_rule_says_for_all_that_envoy_does() -> Result<()> {
    is_charged(PROXY).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rule_tells_each_cause_from_the_others() -> Result<()> {
    is_charged(CAUSES).await
}
