"""Keys, tokens and passwords: the kinds that raise `code`. Prefixes are the vendors' own, the patterns ours."""

from __future__ import annotations

import re

from homebred_daemon.adapters.detectors import checks
from homebred_daemon.adapters.detectors.rule import Anywhere, Label, Rule, Start

# Prefix → what follows it. The vendor is named where the prefix does not say it.
_PREFIXED = {
    "AKIA": "[A-Z2-7]{16}",  # Amazon Web Services, access key id
    "ASIA": "[A-Z2-7]{16}",
    "ABIA": "[A-Z2-7]{16}",
    "ACCA": "[A-Z2-7]{16}",
    "ABSK": "[A-Za-z0-9+/]{60,270}={0,2}",  # Amazon Bedrock
    "AIza": r"[\w-]{35}",  # Google
    "ya29.": r"[\w-]{20,400}",
    "GOCSPX-": r"[\w-]{28}",
    "1//0": r"[\w-]{30,120}",
    "ghp_": "[A-Za-z0-9]{30,255}",
    "gho_": "[A-Za-z0-9]{30,255}",
    "ghu_": "[A-Za-z0-9]{30,255}",
    "ghs_": "[A-Za-z0-9]{30,255}",
    "ghr_": "[A-Za-z0-9]{30,255}",
    "github_pat_": r"\w{30,255}",
    "glpat-": r"[\w-]{20,60}",  # GitLab
    "gldt-": r"[\w-]{20,60}",
    "glrt-": r"[\w-]{20,60}",
    "glptt-": r"[\w-]{20,60}",
    "glcbt-": r"[\w-]{20,60}",
    "glsoat-": r"[\w-]{20,60}",
    "glffct-": r"[\w-]{20,60}",
    "GR1348941": r"[\w-]{20,60}",
    "gloas-": r"[\w-]{20,80}",
    "glft-": r"[\w-]{20,60}",
    "glimt-": r"[\w-]{20,60}",
    "glagent-": r"[\w-]{20,60}",
    "xoxa-": r"[\w-]{12,255}",  # Slack
    "xoxb-": r"[\w-]{12,255}",
    "xoxe-": r"[\w-]{12,255}",
    "xoxe.": r"[\w.-]{12,255}",
    "xoxo-": r"[\w-]{12,255}",
    "xoxp-": r"[\w-]{12,255}",
    "xoxr-": r"[\w-]{12,255}",
    "xoxs-": r"[\w-]{12,255}",
    "xapp-": r"[\w-]{20,255}",
    "hooks.slack.com/": r"(?:services|workflows|triggers)/[\w/-]{20,100}",
    "sk_live_": r"\w{10,255}",  # Stripe
    "sk_test_": r"\w{10,255}",
    "rk_live_": r"\w{10,255}",
    "rk_test_": r"\w{10,255}",
    "whsec_": r"[\w+/=]{20,100}",
    "sk-": r"(?:proj-|svcacct-|admin-|ant-|or-|None-)?(?=[\w-]{0,40}\d)[\w-]{20,255}",  # OpenAI, Anthropic
    "hf_": "[A-Za-z]{30,40}",  # Hugging Face
    "api_org_": "[A-Za-z]{30,40}",
    "gsk_": "[A-Za-z0-9]{40,60}",  # Groq
    "xai-": "[A-Za-z0-9]{60,90}",
    "r8_": "[A-Za-z0-9]{30,45}",  # Replicate
    "pplx-": "[A-Za-z0-9]{40,60}",  # Perplexity
    "nvapi-": r"[\w-]{50,90}",
    "npm_": "[A-Za-z0-9]{36}",
    "pypi-": r"[\w-]{50,255}",
    "rubygems_": "[a-f0-9]{48}",
    "dckr_pat_": r"[\w-]{20,60}",  # Docker
    "dop_v1_": "[a-f0-9]{64}",  # DigitalOcean
    "doo_v1_": "[a-f0-9]{64}",
    "dor_v1_": "[a-f0-9]{64}",
    "SG.": r"[\w-]{16,32}\.[\w-]{30,60}",  # SendGrid
    "SK": "[0-9a-fA-F]{32}",  # Twilio
    "key-": "[0-9a-f]{32}",  # Mailgun
    "xkeysib-": r"[a-f0-9]{64}-\w{16}",  # Brevo
    "shpat_": "[a-fA-F0-9]{32}",  # Shopify
    "shpca_": "[a-fA-F0-9]{32}",
    "shppa_": "[a-fA-F0-9]{32}",
    "shpss_": "[a-fA-F0-9]{32}",
    "dapi": r"[a-f0-9]{32}(?:-\d)?",  # Databricks
    "hvs.": r"[\w-]{24,300}",  # HashiCorp Vault
    "hvb.": r"[\w-]{60,300}",
    "AGE-SECRET-KEY-1": "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}",
    "glsa_": r"[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",  # Grafana
    "glc_": "[A-Za-z0-9+/]{32,400}={0,3}",
    "sntrys_": r"[\w+/=]{40,300}",  # Sentry
    "sntryu_": "[a-f0-9]{64}",
    "lin_api_": "[A-Za-z0-9]{40}",  # Linear
    "PMAK-": "[a-fA-F0-9]{24}-[a-fA-F0-9]{34}",  # Postman
    "pul-": "[a-f0-9]{40}",  # Pulumi
    "figd_": r"[\w-]{30,60}",  # Figma
    "ATATT3": r"[\w=-]{60,255}",  # Atlassian
    "NRAK-": "[A-Z0-9]{27}",  # New Relic
    "dp.pt.": "[A-Za-z0-9]{40,44}",  # Doppler
    "EZAK": "[A-Za-z0-9]{54}",  # EasyPost
    "EZTK": "[A-Za-z0-9]{54}",
    "sq0csp-": r"[\w-]{43}",  # Square
    "sq0atp-": r"[\w-]{22,60}",
    "EAAA": r"[\w-]{50,90}",
    "tskey-": r"[\w-]{20,90}",  # Tailscale
    "ops_eyJ": r"[\w+/=-]{100,400}",  # 1Password
    "A3-": r"[A-Z0-9]{6}-[A-Z0-9]{6,11}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    "ntn_": "[A-Za-z0-9]{40,60}",  # Notion
    "secret_": "[A-Za-z0-9]{43}",
    "sgp_": r"\w{40,80}",  # Sourcegraph
    "shippo_live_": "[a-f0-9]{40}",
    "shippo_test_": "[a-f0-9]{40}",
    "sbp_": "[a-f0-9]{40}",  # Supabase
    "pscale_": r"(?:tkn|oauth|pw)_[\w.=-]{32,64}",  # PlanetScale
    "CFPAT-": r"[\w-]{43}",  # Contentful
    "LTAI": "[A-Za-z0-9]{17,21}",  # Alibaba
    "dt0c01.": r"[A-Z0-9]{24}\.[A-Z0-9]{64}",  # Dynatrace
    "dt0s01.": r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}",
    "rdme_": "[a-z0-9]{70}",
    "fo1_": r"[\w-]{43}",  # Fly.io
    "FlyV1 ": r"fm\d[a-z]?_[\w+/=,-]{50,500}",
    "HRKU-": r"[\w-]{30,70}",  # Heroku
    "NRII-": r"[\w-]{32}",
    "NRJS-": "[a-f0-9]{19}",
    "sm_aat_": r"\w{16,60}",  # SettleMint
    "sm_pat_": r"\w{16,60}",
    "sm_sat_": r"\w{16,60}",
    "pat.": r"[\w-]{22}\.[\w-]{20,30}\.[\w-]{20,30}",  # Harness
    "pat": "[A-Za-z0-9]{14}\\.[a-f0-9]{64}",  # Airtable
    "sl.": r"[\w-]{60,300}",  # Dropbox
    "API-": "(?=[A-Z]{0,9}[0-9])[A-Z0-9]{26}",  # Octopus Deploy
    "tfp_": r"[\w.-]{50,70}",  # Typeform
    "pk.ey": r"[\w-]{20,200}\.[\w-]{20,40}",  # Mapbox
    "sk.ey": r"[\w-]{20,200}\.[\w-]{20,40}",
    "fio-u-": r"[\w=-]{50,80}",  # Frame.io
    "pnu_": "[A-Za-z0-9]{36}",  # Prefect
    "phc_": "[A-Za-z0-9]{40,50}",
    "phx_": "[A-Za-z0-9]{40,50}",
    "patSK": "[A-Za-z0-9]{30,60}",
    "duffel_": r"(?:test|live)_[\w=-]{43}",
    "FLWSECK": r"(?:_TEST)?-[a-h0-9]{12,40}(?:-X)?",  # Flutterwave
    "live_gc_": r"[\w-]{30,50}",
    "oy2": "[a-z0-9]{43}",  # NuGet
    "AKCp": "[A-Za-z0-9]{69,80}",  # Artifactory
    "EAA": "[A-Za-z0-9]{80,250}",  # Facebook
    "webhook.office.com/": r"webhookb2/[\w@/-]{40,255}",
    "discord.com/": r"api/webhooks/\d{15,22}/[\w-]{40,90}",
    "cmVmdGtu": "[A-Za-z0-9]{56}",
    "sha256~": r"[\w-]{43}",  # OpenShift
    "v1.0-": "[a-f0-9]{24}-[a-f0-9]{146}",  # Cloudflare
    "CLOJARS_": "[a-z0-9]{60}",
    "nfp_": "[A-Za-z0-9]{36}",  # Netlify
    "vc_": "[A-Za-z0-9]{40,70}",
    "sk_": "[a-f0-9]{48}",  # ElevenLabs
    "jina_": r"[\w-]{50,70}",
    "tvly-": r"[\w-]{30,60}",
    "sqa_": "[a-f0-9]{40}",  # Sonar
    "squ_": "[a-f0-9]{40}",
    "sqp_": "[a-f0-9]{40}",
    "AQVN": r"[\w-]{35,38}",  # Yandex
    "YCAJE": r"[\w-]{20}",
    "mlsn.": "[a-f0-9]{60,70}",
    "pdl_": r"(?:live|sdbx)_apikey_\w{20,60}",
    "eyJ": r"[\w-]{8,2000}\.eyJ[\w-]{8,4000}(?:\.[\w-]{0,1000})?",  # JSON Web Token
    "eyJhbGciOi": r"[\w-]{8,2000}\.[\w-]{0,4000}\.[\w-]{0,4000}",
}
_PASSWORD_WORDS = (
    *(
        "password",
        "passwd",
        "passwort",
        "kennwort",
        "pwd",
        "passphrase",
        "passcode",
        "mot de passe",
        "contraseña",
        "wachtwoord",
    ),
    *("db pass", "dbpass", "userpass", "pass", "zugangscode", "parola"),
)
_KEY_WORDS = (
    *(
        "api key",
        "apikey",
        "access key",
        "accesskey",
        "secret key",
        "secretkey",
        "secret",
        "token",
        "auth key",
        "authkey",
    ),
    *("client secret", "clientsecret", "private key", "privatekey", "encryption key", "signing key", "account key"),
    *("accountkey", "access token", "credential", "credentials", "shared access key", "sharedaccesskey", "license key"),
    *(
        "clé api",
        "clé secrète",
        "api schlüssel",
        "zugriffsschlüssel",
        "geheimer schlüssel",
        "jeton",
        "webhook secret",
        "sas",
    ),
)
_SET_TO = r"[\"'\]]{0,2}\s{0,3}(?:=>|[:?]{0,3}={1,3}|:|→|\|\|:?|>|,(?=\s?[\"']))\s{0,3}[\"'`]?"
_SAID_TO_BE = r"\s(?:is|ist|lautet|est|was|war)\b:?\s[\"'`]?"
_CHOSEN = r"(?P<v>[^\s\"'`,;<>&]{6,128}(?<![.)\]}:]))"
_VENDORS = (
    *(
        "adafruit",
        "adobe",
        "airtable",
        "algolia",
        "alibaba",
        "asana",
        "atlassian",
        "beamer",
        "bitbucket",
        "bittrex",
        "meraki",
    ),
    *(
        "cloudflare",
        "codecov",
        "cohere",
        "coinbase",
        "confluent",
        "contentful",
        "datadog",
        "discord",
        "drone",
        "droneci",
    ),
    *(
        "dropbox",
        "etsy",
        "facebook",
        "fastly",
        "finicity",
        "finnhub",
        "flickr",
        "freshbooks",
        "gitlab",
        "gitter",
        "heroku",
    ),
    *(
        "hubspot",
        "intercom",
        "jfrog",
        "kraken",
        "kucoin",
        "launchdarkly",
        "linear",
        "linkedin",
        "lob",
        "looker",
        "mailgun",
    ),
    *("mapbox", "mattermost", "messagebird", "netlify", "newrelic", "new relic", "nytimes", "okta", "plaid"),
    *("privateai", "rapidapi", "sendbird", "sentry", "snyk", "square", "squarespace", "sumo", "sumologic", "telegram"),
    *("travis", "twitch", "twitter", "typeform", "yandex", "zendesk", "session", "sidekiq"),
)
_KEY_TAIL = r"(?:[ _-]?(?:key|id|access|token|value|string|base64|secret)){0,3}s?(?![^\W_])"

RULES = (
    Rule(
        type="SECRET",
        at=Start(("-----begin",)),
        pattern=r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"(?:(?:[A-Za-z0-9+/=\s:,.()]|-(?!-)|\\[nr]){0,9000}?-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
        r"|(?:[A-Za-z0-9+/=\s]|\\[nr]){0,9000})",
    ),
    *(
        Rule(type="SECRET", at=Start((prefix.lower(),)), pattern=re.escape(prefix) + rest + r"(?![A-Za-z0-9])")
        for prefix, rest in _PREFIXED.items()
    ),
    Rule(
        type="SECRET", at=Anywhere((".atlasv1.",)), pattern=r"(?<!\w)[A-Za-z0-9]{14}\.atlasv1\.[\w=-]{60,70}"
    ),  # Terraform
    Rule(type="SECRET", at=Anywhere(("q~",)), pattern=r"(?<![\w~.-])[\w~.]{3}\dQ~[\w~.-]{31,34}(?![\w~-])"),  # Azure
    Rule(type="SECRET", at=Anywhere(("-us",)), pattern=r"(?<!\w)[0-9a-f]{32}-us\d{1,2}(?!\w)"),  # Mailchimp
    Rule(
        type="SECRET",
        at=Start(("curl ",)),
        pattern=r"curl [^\n]{0,300}?(?:-u|--user)[ =][\"']?[^\s:\"']{1,64}:(?P<v>[^\s\"']{3,128})",
        check=checks.password,
    ),
    Rule(type="SECRET", at=Anywhere((":aa",)), pattern=r"(?<!\w)\d{8,10}:AA[\w-]{32,34}(?![\w-])"),  # Telegram
    Rule(
        type="SECRET", at=Start(("sig=",)), pattern=r"(?i:sig)=(?P<v>[A-Za-z0-9%+/]{40,90}={0,2})"
    ),  # Azure, shared access
    Rule(
        type="SECRET",
        at=Start(("bearer ",)),
        pattern=r"(?i:bearer) (?P<v>(?=[\w.~+/-]{0,40}\d)[\w.~+/-]{16,2000}={0,2})",
    ),
    Rule(
        type="SECRET",
        at=Start(("basic ",)),
        pattern=r"(?i:basic) (?P<v>(?=[A-Za-z0-9+/]{0,60}[A-Z0-9])[A-Za-z0-9+/]{16,400}={0,2})(?![\w ])",
    ),
    Rule(
        type="SECRET",
        at=Anywhere(("://",)),
        pattern=r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.]{1,20}://[^\s:/@\"'<>]{0,64}:"
        r"(?P<v>[^\s@/\"'<>]{3,128})@(?=[\w\[])",
        check=checks.password,
    ),
    Rule(
        type="SECRET",
        at=Label(_PASSWORD_WORDS, inside=True),
        pattern=r"(?:[ _-](?:hash|value|text)|\"\s?value)?" + _SET_TO + _CHOSEN,
        check=checks.password,
    ),
    Rule(type="SECRET", at=Label(_PASSWORD_WORDS), pattern=_SAID_TO_BE + _CHOSEN, check=checks.spoken_password),
    Rule(
        type="SECRET",
        at=Label(_KEY_WORDS, inside=True),
        pattern=_KEY_TAIL + f"(?:{_SET_TO}|{_SAID_TO_BE})" + r"(?P<v>[\w.~+/=-]{10,512}(?<![.-]))",
        check=checks.key,
    ),
    Rule(
        type="SECRET",
        at=Label(("key", "auth", "creds"), inside=True),
        pattern=r"(?![^\W_])" + _SET_TO + r"(?P<v>[\w.~+/=-]{20,512}(?<![.-]))",
        check=checks.scattered_key,
    ),
    Rule(
        type="SECRET",
        at=Label(_VENDORS),
        pattern=r"[\w .-]{0,24}?" + _SET_TO + r"(?P<v>[\w.~+/=-]{14,512}(?<![.-]))",
        check=checks.scattered_key,
    ),
    Rule(
        type="SECRET",
        at=Label(("pin", "tan", "puk")),
        pattern=r"\s{0,2}(?:[:=]|is|ist|lautet)\s{0,2}(?P<v>\d{4}|\d{6}|\d{8})(?![\w.-])",
    ),
    Rule(
        type="SECRET",
        at=Anywhere(),
        pattern=r"(?<![A-Za-z0-9+/_=.-])[A-Za-z0-9+/_-]{32,88}={0,2}(?![A-Za-z0-9+/_=-])",
        check=checks.bare_key,
    ),
)
