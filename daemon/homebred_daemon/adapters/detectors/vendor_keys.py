"""Keys that are known by how they begin. The prefixes are the vendors' own, the patterns ours."""

from __future__ import annotations

import re

from homebred_daemon.adapters.detectors import key_checks
from homebred_daemon.adapters.detectors.rule import Rule, Start

_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_GITLAB = r"[\w-]{20,300}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?"
_AUTHRESS = r"[A-Za-z0-9]{5,30}\.[A-Za-z0-9]{4,6}\.acc[_-][A-Za-z0-9-]{10,32}\.[\w+/=-]{30,120}"

# Prefix → what follows it. The vendor is named where the prefix does not say it.
_PREFIXED = {
    "AKIA": "[A-Z2-7]{16}",  # Amazon Web Services, access key id
    "ASIA": "[A-Z2-7]{16}",
    "ABIA": "[A-Z2-7]{16}",
    "ACCA": "[A-Z2-7]{16}",
    "A3T": "[A-Z0-9][A-Z2-7]{16}",
    "bedrock-api-key-": "YmVkcm9jay5hbWF6b25hd3MuY29t[A-Za-z0-9+/]{20,2000}={0,2}",
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
    "glpat-": _GITLAB,
    "gldt-": r"[\w-]{20,60}",
    "glrt-": _GITLAB,
    "glptt-": r"[\w-]{20,60}",
    "glcbt-": r"[\w-]{20,60}",
    "glsoat-": r"[\w-]{20,60}",
    "glffct-": r"[\w-]{20,60}",
    "GR1348941": r"[\w-]{20,60}",
    "gloas-": r"[\w-]{20,80}",
    "glft-": r"[\w-]{20,60}",
    "glimt-": r"[\w-]{20,60}",
    "glagent-": r"[\w-]{20,60}",
    "xoxa-": r"[\w-]{8,255}",  # Slack
    "xoxb-": r"[\w-]{8,255}",
    "xoxe-": r"[\w-]{8,255}",
    "xoxe.": r"[\w.-]{8,255}",
    "xoxo-": r"[\w-]{8,255}",
    "xoxp-": r"[\w-]{8,255}",
    "xoxr-": r"[\w-]{8,255}",
    "xoxs-": r"[\w-]{8,255}",
    "xapp-": r"[\w-]{8,255}",
    "hooks.slack.com/": r"(?:services|workflows|triggers)/[\w/-]{20,100}",
    "sk_live_": r"\w{10,255}",  # Stripe
    "sk_test_": r"\w{10,255}",
    "sk_prod_": r"\w{10,255}",
    "rk_live_": r"\w{10,255}",
    "rk_test_": r"\w{10,255}",
    "rk_prod_": r"\w{10,255}",
    "whsec_": r"[\w+/=]{20,100}",
    "sk-": r"(?:proj-|svcacct-|admin-|ant-|or-|None-)?(?=[\w-]{0,100}\d)[\w-]{20,255}",  # OpenAI, Anthropic
    "hf_": "[A-Za-z]{30,40}",  # Hugging Face
    "api_org_": "[A-Za-z]{30,40}",
    "gsk_": "[A-Za-z0-9]{40,60}",  # Groq
    "xai-": "[A-Za-z0-9]{60,90}",
    "r8_": "[A-Za-z0-9]{30,45}",  # Replicate
    "pplx-": "[A-Za-z0-9]{40,60}",  # Perplexity
    "nvapi-": r"[\w-]{50,90}",
    "npm_": "[A-Za-z0-9]{36}",
    "pypi-": r"[\w-]{50,1200}",
    "rubygems_": "[a-f0-9]{48}",
    "dckr_pat_": r"[\w-]{20,60}",  # Docker
    "dop_v1_": "[a-f0-9]{64}",  # DigitalOcean
    "doo_v1_": "[a-f0-9]{64}",
    "dor_v1_": "[a-f0-9]{64}",
    "SG.": r"(?:[\w-]{16,32}\.[\w-]{30,60}|[\w=.-]{66})",  # SendGrid
    "SK": "[0-9a-fA-F]{32}",  # Twilio
    "key-": "[0-9a-f]{32}",  # Mailgun
    "pubkey-": "[0-9a-f]{32}",
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
    "sntrys_": r"[\w+/=]{40,600}",  # Sentry
    "sntryu_": "[a-f0-9]{64}",
    "lin_api_": "[A-Za-z0-9]{40}",  # Linear
    "PMAK-": "[a-fA-F0-9]{24}-[a-fA-F0-9]{34}",  # Postman
    "pul-": "[a-f0-9]{40}",  # Pulumi
    "figd_": r"[\w-]{30,60}",  # Figma
    "ATATT3": r"[\w=-]{60,255}",  # Atlassian
    "NRAK-": "[A-Za-z0-9]{27}",  # New Relic
    "dp.pt.": "[A-Za-z0-9]{40,44}",  # Doppler
    "EZAK": "[A-Za-z0-9]{54}",  # EasyPost
    "EZTK": "[A-Za-z0-9]{54}",
    "sq0csp-": r"[\w-]{43}",  # Square
    "sq0atp-": r"[\w-]{22,60}",
    "EAAA": r"[\w-]{22,90}",
    "tskey-": r"[\w-]{20,90}",  # Tailscale
    "ops_eyJ": r"[\w+/=-]{100,2000}",  # 1Password
    "A3-": "[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
    "ntn_": "[A-Za-z0-9]{40,60}",  # Notion
    "secret_": "[A-Za-z0-9]{43}",
    "sgp_": r"\w{40,80}",  # Sourcegraph
    "shippo_live_": "[a-fA-F0-9]{40}",
    "shippo_test_": "[a-fA-F0-9]{40}",
    "sbp_": "[a-f0-9]{40}",  # Supabase
    "pscale_": r"(?:tkn|oauth|pw)_[\w.=-]{32,64}",  # PlanetScale
    "CFPAT-": r"[\w-]{43}",  # Contentful
    "LTAI": "[A-Za-z0-9]{17,21}",  # Alibaba
    "dt0c01.": r"[A-Za-z0-9]{24}\.[A-Za-z0-9]{64}",  # Dynatrace
    "dt0s01.": r"[A-Z0-9]{8,24}\.[A-Z0-9]{64}",
    "rdme_": "[a-z0-9]{70}",
    "fo1_": r"[\w-]{43}",  # Fly.io
    "fm1": "[ar]_[A-Za-z0-9+/]{100,2000}={0,3}",
    "fm2_": "[A-Za-z0-9+/]{100,2000}={0,3}",
    "FlyV1 ": r"fm\d[a-z]?_[\w+/=,-]{50,500}",
    "HRKU-": r"[\w-]{30,70}",  # Heroku
    "NRII-": r"[\w-]{32}",
    "NRJS-": "[a-f0-9]{19}",
    "sm_aat_": r"\w{16,60}",  # SettleMint
    "sm_pat_": r"\w{16,60}",
    "sm_sat_": r"\w{16,60}",
    "pat.": r"[\w-]{22}\.[\w-]{20,30}\.[\w-]{20,30}",  # Harness
    "sat.": r"[\w-]{22}\.[\w-]{20,30}\.[\w-]{20,30}",
    "pat": "[A-Za-z0-9]{14}\\.[a-f0-9]{64}",  # Airtable
    "sl.": r"[\w-]{60,300}",  # Dropbox
    "API-": "(?=[A-Z]{0,25}[0-9])[A-Z0-9]{26}",  # Octopus Deploy
    "tfp_": r"[\w.=-]{50,70}",  # Typeform
    "pk.ey": r"[\w-]{20,200}\.[\w-]{20,40}",  # Mapbox
    "sk.ey": r"[\w-]{20,200}\.[\w-]{20,40}",
    "fio-u-": r"[\w=-]{50,80}",  # Frame.io
    "pnu_": "[A-Za-z0-9]{36}",  # Prefect
    "phc_": "[A-Za-z0-9]{40,50}",
    "phx_": "[A-Za-z0-9]{40,50}",
    "patSK": "[A-Za-z0-9]{30,60}",
    "duffel_": r"(?:test|live)_[\w=-]{43}",
    "FLWSECK": r"(?:_TEST)?-?[a-h0-9]{12,40}(?:-X)?",  # Flutterwave
    "FLWPUBK": r"(?:_TEST)?-[a-h0-9]{32}-X",
    "live_": r"(?:pub_[a-f0-9]{31}|[a-f0-9]{35}|[\w=-]{40})",  # Lob, GoCardless
    "test_": r"(?:pub_[a-f0-9]{31}|[a-f0-9]{35})",
    "oy2": "[a-z0-9]{43}",  # NuGet
    "AKCp": "[A-Za-z0-9]{69,80}",  # Artifactory
    "cmVmd": "[A-Za-z0-9]{59}",
    "EAA": "[A-Za-z0-9]{80,500}",  # Facebook
    "webhook.office.com/": r"webhookb2/[\w@/-]{40,255}",
    "discord.com/": r"api/webhooks/\d{15,22}/[\w-]{40,90}",
    "sha256~": r"[\w-]{43}",  # OpenShift
    "v1.0-": "[a-f0-9]{24}-[a-f0-9]{146}",  # Cloudflare
    "CLOJARS_": "[A-Za-z0-9]{60}",
    "nfp_": "[A-Za-z0-9]{36}",  # Netlify
    "vc_": "[A-Za-z0-9]{40,70}",
    "sk_": "[a-f0-9]{48}",  # ElevenLabs
    "jina_": r"[\w-]{50,70}",
    "tvly-": r"[\w-]{30,60}",
    "sqa_": "[a-f0-9]{40}",  # Sonar
    "squ_": "[a-f0-9]{40}",
    "sqp_": "[a-f0-9]{40}",
    "AQVN": r"[\w-]{35,38}",  # Yandex
    "t1.": r"[\w-]{10,2000}={0,2}\.[\w-]{86}={0,2}",
    "YCAJE": r"[\w-]{20}",
    "mlsn.": "[a-f0-9]{60,70}",
    "pdl_": r"(?:live|sdbx)_apikey_\w{20,60}",
    "eyJ": r"[\w-]{8,2000}\.eyJ[\w-]{8,4000}(?:\.[\w-]{0,1000})?",  # JSON Web Token
    "eyJrIjoi": "[A-Za-z0-9]{40,400}={0,3}",  # Grafana
    "ZXlK": r"[A-Za-z0-9+/_-]{60,6000}={0,2}",  # JSON Web Token, encoded once more
    "p8e-": "[A-Za-z0-9]{32}",  # Adobe
    "sc_": _AUTHRESS,
    "ext_": _AUTHRESS,
    "scauth_": _AUTHRESS,
    "authress_": _AUTHRESS,
    "4b1d": "[A-Za-z0-9]{38}",  # ClickHouse
    "dnkey-": r"[\w=-]{26}-[\w=-]{52}",  # Defined Networking
    "ico-": "[A-Za-z0-9]{32}",  # Infracost
    "s-s4t2": "(?:ud|af)-[a-f0-9]{64}",  # 42
    "access-": f"(?:sandbox|development|production)-{_UUID}",  # Plaid
    "tk-us-": r"[\w-]{48}",  # Scalingo
    "gitlab_session=": "[0-9a-z]{32}",
    "eyJhbGciOi": r"[\w-]{8,2000}\.[\w-]{0,4000}\.[\w-]{0,4000}",
}

RULES = (
    Rule(  # HashiCorp Vault, before 1.10
        type="SECRET",
        at=Start(("s.",)),
        pattern=r"s\.[A-Za-z0-9]{24}(?![\w.(-])",
        check=key_checks.generated_behind_a_dot,
    ),
    *(
        Rule(
            type="SECRET",
            at=Start((prefix.lower(),)),
            pattern=re.escape(prefix) + rest + r"(?![A-Za-z0-9])",
            check=key_checks.issued,
        )
        for prefix, rest in _PREFIXED.items()
    ),
)
