"""How secrets look that have a mark of their own, and how those look that only a vendor's name beside them gives away.

From the vendors' documentation and the kinds that secret scanners publish. A line is a kind and its format
(`made_values`); `«…»` encloses what must be found where the format holds more than the secret.
"""

from __future__ import annotations

MARKED = """
1password-secret-key | A3-{u:6}-{u:11}-{u:5}-{u:5}-{u:5}
1password-secret-key-split | A3-{u:6}-{u:6}-{u:5}-{u:5}-{u:5}-{u:5}
1password-service-account | ops_eyJ{b:260-400}
adobe-client-secret | p8e-{l:32}
age-secret-key | AGE-SECRET-KEY-1{z:58}
airtable-personal-access-token | pat{a:14}.{x:64}
alibaba-access-key-id | LTAI{a:20}
anthropic-api-key | sk-ant-api03-{s:93}AA
anthropic-admin-key | sk-ant-admin01-{s:93}AA
artifactory-api-key | AKCp{a:69}
artifactory-reference-token | cmVmd{a:59}
atlassian-api-token | ATATT3{s:186}
authress-service-client | sc_{l:20}.{l:5}.acc_{l:16}.{b:60}
aws-access-key-id | AKIA{B:16}
aws-temporary-key-id | ASIA{B:16}
aws-bearer-key-id | ABIA{B:16}
aws-context-key-id | ACCA{B:16}
aws-legacy-key-id | A3T{u:1}{B:16}
aws-bedrock-long-lived | ABSK{b:110-130}
aws-bedrock-short-lived | bedrock-api-key-YmVkcm9jay5hbWF6b25hd3MuY29t{b:60-200}
azure-ad-client-secret | {a:3}8Q~{s:34}
brevo-api-key | xkeysib-{x:64}-{l:16}
clickhouse-cloud-secret | 4b1d{a:38}
clojars-token | CLOJARS_{l:60}
cloudflare-origin-ca-key | v1.0-{x:24}-{x:146}
contentful-personal-token | CFPAT-{s:43}
databricks-token | dapi{x:32}
defined-networking-token | dnkey-{S:26}-{S:52}
digitalocean-personal-token | dop_v1_{x:64}
digitalocean-oauth-token | doo_v1_{x:64}
digitalocean-refresh-token | dor_v1_{x:64}
discord-webhook | https://discord.com/api/webhooks/{d:19}/«{s:68}»
docker-personal-token | dckr_pat_{s:27}
doppler-token | dp.pt.{a:43}
duffel-token | duffel_live_{s:43}
dynatrace-token | dt0c01.{u:24}.{u:64}
dynatrace-token-any | dt0c01.{a:24}.{a:64}
easypost-key | EZAK{a:54}
easypost-test-key | EZTK{a:54}
elevenlabs-key | sk_{x:48}
facebook-page-token | EAAM{a:110-300}
facebook-app-token | {d:16}|{s:27}
figma-token | figd_{s:40}
flutterwave-secret-key | FLWSECK_TEST-{h:32}-X
flutterwave-encryption-key | FLWSECK_TEST{h:12}
flutterwave-public-key | FLWPUBK_TEST-{h:32}-X
flyio-token | fo1_{s:43}
flyio-macaroon | fm2_{b:110-300}
flyio-macaroon-first | fm1r_{b:110-300}
frameio-token | fio-u-{s:64}
gcp-api-key | AIza{s:35}
google-oauth-client-secret | GOCSPX-{s:28}
google-oauth-access-token | ya29.{s:120-200}
google-oauth-refresh-token | 1//0{s:60-100}
github-personal-token | ghp_{a:36}
github-oauth-token | gho_{a:36}
github-user-token | ghu_{a:36}
github-server-token | ghs_{a:36}
github-refresh-token | ghr_{a:36}
github-fine-grained-token | github_pat_{a:22}_{a:59}
gitlab-personal-token | glpat-{s:20}
gitlab-personal-token-routable | glpat-{s:27}.01.{l:9}
gitlab-deploy-token | gldt-{s:20}
gitlab-runner-token | glrt-{s:20}
gitlab-runner-token-routable | glrt-t1_{s:27}.01.{l:9}
gitlab-runner-registration-token | GR1348941{s:20}
gitlab-trigger-token | glptt-{x:40}
gitlab-job-token | glcbt-{a:1-5}_{s:20}
gitlab-scim-token | glsoat-{s:20}
gitlab-feature-flag-token | glffct-{s:20}
gitlab-feed-token | glft-{s:20}
gitlab-mail-token | glimt-{l:25}
gitlab-agent-token | glagent-{s:50}
gitlab-oauth-app-secret | gloas-{x:64}
gitlab-session-cookie | _gitlab_session=«{x:32}»
gocardless-token | live_{s:40}
grafana-service-account | glsa_{a:32}_{X:8}
grafana-cloud-token | glc_{b:60-120}
groq-key | gsk_{a:52}
harness-token | pat.{s:22}.{x:24}.{a:20}
harness-service-token | sat.{s:22}.{x:24}.{a:20}
heroku-key-v2 | HRKU-AA{s:58}
huggingface-token | hf_{L:34}
huggingface-organisation-token | api_org_{L:34}
infracost-token | ico-{a:32}
intra42-client-secret | s-s4t2ud-{x:64}
intra42-client-secret-af | s-s4t2af-{x:64}
linear-api-key | lin_api_{a:40}
lob-key | live_{x:35}
lob-test-key | test_{x:35}
lob-publishable-key | live_pub_{x:31}
mailchimp-key | {x:32}-us1{d:1}
mailgun-private-key | key-{x:32}
mailgun-public-key | pubkey-{x:32}
maxmind-licence-key | {a:6}_{a:29}_mmk
netlify-token | nfp_{a:36}
new-relic-user-key | NRAK-{u:27}
new-relic-user-key-small | NRAK-{l:27}
new-relic-insert-key | NRII-{s:32}
new-relic-browser-key | NRJS-{x:19}
notion-token | ntn_{d:11}{a:35}
notion-legacy-token | secret_{a:43}
npm-token | npm_{a:36}
nuget-key | oy2{l:43}
nvidia-key | nvapi-{s:64}
octopus-deploy-key | API-{u:26}
openai-legacy-key | sk-{a:20}T3BlbkFJ{a:20}
openai-project-key | sk-proj-{s:74}T3BlbkFJ{s:74}
openai-service-account-key | sk-svcacct-{s:58}T3BlbkFJ{s:58}
openai-admin-key | sk-admin-{s:58}T3BlbkFJ{s:58}
openrouter-key | sk-or-v1-{x:64}
openshift-token | sha256~{s:43}
perplexity-key | pplx-{a:48}
plaid-access-token | access-production-{uuid}
planetscale-token | pscale_tkn_{s:43}
planetscale-oauth-token | pscale_oauth_{s:43}
planetscale-password | pscale_pw_{s:43}
posthog-key | phx_{a:43}
postman-key | PMAK-{x:24}-{x:34}
prefect-key | pnu_{a:36}
pulumi-token | pul-{x:40}
pypi-token | pypi-AgEIcHlwaS5vcmc{s:60-900}
readme-token | rdme_{l:70}
replicate-token | r8_{a:37}
rubygems-token | rubygems_{x:48}
scalingo-token | tk-us-{s:48}
sendgrid-key | SG.{s:22}.{s:43}
sendgrid-key-any | SG.{s:66}
sentry-user-token | sntryu_{x:64}
sentry-organisation-token | sntrys_eyJpYXQiO{b:80-400}_{b:43}
settlemint-application-token | sm_aat_{a:16}
settlemint-personal-token | sm_pat_{a:16}
settlemint-service-token | sm_sat_{a:16}
shippo-token | shippo_live_{x:40}
shippo-test-token | shippo_test_{X:40}
shopify-access-token | shpat_{X:32}
shopify-custom-token | shpca_{X:32}
shopify-private-token | shppa_{X:32}
shopify-shared-secret | shpss_{X:32}
sidekiq-url | https://«{x:8}:{x:8}»@gems.contribsys.com/
slack-bot-token | xoxb-{d:12}-{d:12}-{a:24}
slack-legacy-bot-token | xoxb-{d:11}-{a:24}
slack-user-token | xoxp-{d:12}-{d:12}-{d:12}-{x:32}
slack-legacy-token | xoxs-{d:10}-{d:10}-{d:10}-{x:10}
slack-workspace-token | xoxa-2-{a:8-48}
slack-refresh-workspace-token | xoxr-{a:32}
slack-app-token | xapp-1-{u:11}-{d:13}-{x:64}
slack-config-token | xoxe.xoxp-1-{u:165}
slack-config-refresh-token | xoxe-1-{u:146}
slack-webhook | https://hooks.slack.com/services/«T{u:10}/B{u:10}/{a:24}»
sonar-user-token | squ_{x:40}
sonar-project-token | sqp_{x:40}
sourcegraph-token | sgp_{x:16}_{x:40}
sourcegraph-local-token | sgp_local_{x:40}
sourcegraph-legacy-token | sgp_{x:40}
square-access-token | EAAA{s:22-60}
square-oauth-secret | sq0csp-{s:43}
square-token | sq0atp-{s:22}
stripe-secret-key | sk_live_{a:10-99}
stripe-test-key | sk_test_{a:99}
stripe-production-key | sk_prod_{a:30}
stripe-restricted-key | rk_live_{a:24}
stripe-restricted-production-key | rk_prod_{a:24}
stripe-webhook-secret | whsec_{a:32}
supabase-token | sbp_{x:40}
tailscale-key | tskey-auth-{a:12}CNTRL-{a:32}
teams-webhook | https://acme.webhook.office.com/webhookb2/«{uuid}@{uuid}/IncomingWebhook/{x:32}/{uuid}»
telegram-bot-token | {d:8-10}:A{s:34}
terraform-cloud-token | {a:14}.atlasv1.{s:67}
twilio-key | SK{x:32}
typeform-token | tfp_{s:59}
vault-service-token | hvs.{s:95}
vault-batch-token | hvb.{s:140-200}
vault-legacy-token | s.{a:24}
xai-key | xai-{a:80}
yandex-key | AQVN{s:36}
yandex-iam-token | t1.{s:100-160}.{s:86}
yandex-storage-key | YCAJE{s:20}
"""

# Vendor | what the vendor calls it | format: nothing in the value itself says what it is.
NAMED = """
adafruit | api key | {S:32}
adobe | client id | {x:32}
airtable | api key | {l:17}
algolia | api key | {x:32}
alibaba | secret key | {a:30}
asana | client id | {d:16}
asana | client secret | {x:32}
atlassian | api token | {l:20}{x:4}
jira | token | {l:20}{x:4}
confluence | token | {l:20}{x:4}
beamer | api token | b_{s:44}
bitbucket | client id | {a:32}
bitbucket | client secret | {s:64}
bittrex | access key | {x:32}
bittrex | secret key | {x:32}
mailgun | signing key | {x:32}-{x:8}-{x:8}
meraki | api key | {x:40}
cloudflare | api token | {s:40}
cloudflare | global api key | {x:37}
codecov | access token | {l:32}
cohere | api token | {a:40}
coinbase | access token | {s:64}
confluent | access token | {u:16}
confluent | secret key | {b:64}
contentful | delivery token | {s:43}
datadog | api key | {x:40}
discord | api token | {x:64}
discord | client id | {d:18}
discord | client secret | {s:32}
drone ci | access token | {a:32}
dropbox | app secret | {l:15}
dropbox | long lived token | {a:11}AAAAAAAAAA{s:43}
dropbox | short lived token | sl.{s:135}
etsy | access token | {l:24}
facebook | app secret | {x:32}
fastly | api token | {s:32}
finicity | api token | {x:32}
finicity | client secret | {a:20}
finnhub | access token | {l:20}
flickr | access token | {x:32}
freshbooks | access token | {x:64}
gitter | access token | {x:40}
heroku | api key | {uuid}
hubspot | api key | {uuid}
intercom | api key | {s:60}
jfrog | api key | {a:73}
artifactory | identity token | {a:64}
kraken | access token | {b:86}==
kucoin | access token | {x:24}
kucoin | secret key | {uuid}
launchdarkly | access token | {s:40}
linear | client secret | {x:32}
linkedin | client id | {l:14}
linkedin | client secret | {a:16}
looker | client id | {a:20}
looker | client secret | {a:24}
mapbox | api token | pk.eyJ{a:60}.{a:22}
mattermost | access token | {l:26}
messagebird | api token | {a:25}
messagebird | client id | {uuid}
netlify | access token | {s:43}
new relic | user api id | {l:64}
nytimes | access token | {a:32}
okta | access token | 00{s:40}
plaid | client id | {x:24}
plaid | secret key | {x:30}
privateai | api token | {x:32}
rapidapi | access token | {a:50}
sendbird | access id | {uuid}
sendbird | access token | {x:40}
sentry | access token | {x:64}
snyk | api token | {uuid}
sonar | login | {x:40}
sourcegraph | access token | {x:40}
squarespace | access token | {uuid}
sumologic | access id | su{a:12}
sumologic | access token | {a:64}
travis | access token | {a:22}
twitch | api token | {l:30}
twitter | api key | {a:25}
twitter | api secret | {a:50}
twitter | access token | {d:19}-{a:40}
twitter | access secret | {a:45}
twitter | bearer token | AAAAAAAAAAAAAAAAAAAAAA{a:30}%2F{a:40}%3D{a:12}
yandex | storage secret | YC{s:38}
zendesk | secret key | {a:40}
aws | secret access key | {b:40}
"""

# Words that any program uses for a generated secret.
ROLES = (
    *("api key", "api token", "access token", "secret key", "client secret", "auth token", "private key"),
    *("signing key", "encryption key", "access key", "webhook secret", "secret", "token", "refresh token"),
)
GENERIC = (
    "{x:32}",
    "{x:40}",
    "{x:64}",
    "{a:20}",
    "{a:32}",
    "{a:40}",
    "{s:43}",
    "{b:43}=",
    "{b:86}==",
    "{uuid}",
    "{X:48}",
)
ANY = ("token", "key", "secret", "api key")
