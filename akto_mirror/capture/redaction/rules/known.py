"""Secrets with a known form: keys with a fixed prefix, private keys and JWTs, as their issuers document them.

The forms are facts of the makers' docs and of the rules that gitleaks and Postman's secret scanner publish; the
expressions are this project's own. All of them are within what google-re2 and Python's own module both understand.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """A kind of secret.

    Attributes:
        kind: what metrics and previews name it by.
        keyword: what stands in each of them.
        pattern: the expression; its group `secret`, or all of it, is hidden.
        own: a user gave it.
    """

    kind: str
    keyword: str
    pattern: str
    own: bool = False


# A JWT, also one that is encrypted, has no signature, or was cut. `ey` begins what begins with `{"`.
JWT = r"\bey[A-Za-z0-9_-]{10,}\.(?:ey[A-Za-z0-9_-]{5,}|[A-Za-z0-9_-]{20,})(?:\.[A-Za-z0-9_-]*)*"

# Up to its last line, or as far as it goes: no quote or bracket stands in one.
PRIVATE_KEY = (
    r"""-----BEGIN(?:[A-Z0-9 +]|%20){0,48}PRIVATE(?:[ +]{1,3}|%20)KEY(?:(?:[ +]{1,3}|%20)BLOCK)?-----"""
    r"""(?:[^"'<>&]*?-----END(?:[A-Z0-9 +]|%20){0,48}-----|[^"'<>&]*)"""
)

UUID = "[a-f0-9]{8}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{4}-[a-f0-9]{12}"
# Marks that Azure puts into the keys that it makes.
AZURE_MARKS = r"(?:ACDb|ACOG|APIM|AZDO|AzCa|AzEg|AzFu|AzIoT|AzSe|\+(?:ABa|AMC|ARm|ASt))"

COMMON = (
    Rule("jwt", "ey", JWT),
    Rule("private-key", "PRIVATE", PRIVATE_KEY),
    Rule("private-key", "PuTTY-User-Key-File", r"""PuTTY-User-Key-File-[0-9][^"'<>&]*"""),
    Rule("paseto", ".", r"\bv[1-4]\.(?:local|public)\.[A-Za-z0-9_-]{40,}"),
    Rule("age-key", "AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[0-9A-Za-z]{40,}"),
    # Clouds.
    Rule("aws", "A", r"\b(?:AKIA|ASIA|ABIA|ACCA|A3T[A-Z0-9])[A-Z2-7]{16}\b"),
    Rule("aws", "bedrock-api-key-", r"\bbedrock-api-key-[A-Za-z0-9+/=]{20,}"),
    Rule("aws", "ABSK", r"\bABSK[A-Za-z0-9+/]{80,}={0,2}"),
    Rule("google", "AIza", r"\bAIza[A-Za-z0-9_-]{35}"),
    Rule("google", "ya29.", r"\bya29\.[A-Za-z0-9_-]{20,}"),
    Rule("google", "GOCSPX-", r"\bGOCSPX-[A-Za-z0-9_-]{20,}"),
    Rule("google", "AQ.Ab8", r"\bAQ\.Ab8[A-Za-z0-9_-]{40,}"),
    Rule("google", "AAAA", r"\bAAAA[A-Za-z0-9_-]{7}:[A-Za-z0-9_-]{130,}"),
    Rule("aws", "amzn.", rf"\bamzn\.mws\.{UUID}"),
    Rule("google", "1//0", r"\b1//0[A-Za-z0-9_-]{30,}"),
    Rule("azure", "AccountKey=", r"AccountKey=(?P<secret>[A-Za-z0-9+/]{60,}={0,2})"),
    Rule("azure", "SharedAccessKey=", r"SharedAccessKey=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})"),
    Rule("azure", "8Q~", r"\b[A-Za-z0-9_.~-]{3}8Q~[A-Za-z0-9_.~-]{31,34}"),
    Rule("azure", "A", rf"\b[A-Za-z0-9+/]{{76}}{AZURE_MARKS}[A-Za-z0-9+/]{{3,6}}(?:={{1,2}}|\b)"),
    Rule("azure", "JQQJ99", r"\b[A-Za-z0-9+/]{52}JQQJ99[A-Za-z0-9+/]{20,30}={0,2}"),
    Rule("alibaba", "LTAI", r"\bLTAI[A-Za-z0-9]{12,26}\b"),
    Rule("baidu", "ALTAK", r"\bALTAK[A-Za-z0-9]{21}\b"),
    Rule("volcengine", "AKLT", r"\bAKLT[A-Za-z0-9+/=_-]{40,}"),
    Rule("yandex", "AQVN", r"\bAQVN[A-Za-z0-9_-]{35,38}\b"),
    Rule("yandex", "t1.", r"\bt1\.[A-Za-z0-9_-]{10,}={0,2}\.[A-Za-z0-9_-]{86}={0,2}"),
    Rule("tencent", "AKID", r"\bAKID[A-Za-z0-9]{32,36}\b"),
    Rule("digitalocean", "_v1_", r"\b(?:dop|doo|dor)_v1_[a-f0-9]{64}"),
    Rule("heroku", "HRKU-", r"\bHRKU-[A-Za-z0-9_-]{30,}"),
    Rule("fly", "fm", r"\b(?:fm1[ar]|fm2)_[A-Za-z0-9+/=]{40,}"),
    Rule("fly", "FlyV1", r"\bFlyV1 (?P<secret>fm[A-Za-z0-9+/=_,]{40,})"),
    Rule("cloudflare", "v1.0-", r"\bv1\.0-[a-f0-9]{24}-[a-f0-9]{146}"),
    Rule("cloudflare", "cf", r"\bcf(?:ut|at|k)_[A-Za-z0-9_-]{40,}"),
    Rule("vercel", "vc", r"\bvc[pikar]_[A-Za-z0-9]{24,}"),
    Rule("netlify", "nfp_", r"\bnfp_[A-Za-z0-9_]{36,}"),
    Rule("supabase", "sb", r"\b(?:sbp_[a-f0-9]{40}|sb_secret_[A-Za-z0-9_-]{20,})"),
    Rule("databricks", "d", r"\bd(?:api|ose|kea)[a-f0-9]{32}(?:-[0-9])?"),
    Rule("render", "rnd_", r"\brnd_[A-Za-z0-9]{28,}"),
    Rule("neon", "napi_", r"\bnapi_[a-z0-9]{60,}"),
    Rule("mongodb", "mdb_sa_sk_", r"\bmdb_sa_sk_[A-Za-z0-9_-]{30,}"),
    Rule("aiven", "AVNS_", r"\bAVNS_[A-Za-z0-9_-]{17,}"),
    Rule("tailscale", "tskey-", r"\btskey-[a-z]{2,12}-[A-Za-z0-9-]{15,}"),
    Rule("openshift", "sha256~", r"\bsha256~[A-Za-z0-9_-]{43}"),
    Rule("planetscale", "pscale_", r"\bpscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}"),
    Rule("terraform", ".atlasv1.", r"\b[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_=-]{60,}"),
    Rule("vault", "hv", r"\bhv[sbr]\.[A-Za-z0-9_-]{24,}"),
    Rule("doppler", "dp.", r"\bdp\.(?:pt|st|ct|sa|scim|audit)\.(?:[a-z0-9_-]+\.)?[A-Za-z0-9]{40,}"),
    Rule("pulumi", "pul-", r"\bpul-[a-f0-9]{40}"),
    Rule("1password", "A3-", r"\bA3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}\b"),
    Rule("infisical", "st.", r"\bst\.[a-f0-9]{24}\.[a-f0-9]{32}\.[a-f0-9]{32}\b"),
    Rule("1password", "ops_ey", r"\bops_ey[A-Za-z0-9+/_-]{60,}={0,3}"),
    # Forges and registries.
    Rule("github", "gh", r"\bgh[pousr]_[A-Za-z0-9]{36,255}"),
    Rule("github", "github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{60,}"),
    Rule("gitlab", "gl", r"\bgl(?:pat|oas|ptt|rt|cbt|dt|ft|soat|imt|agent|ffct|rtr|wt)-[A-Za-z0-9_.-]{20,}"),
    Rule("gitlab", "GR1348941", r"\bGR1348941[A-Za-z0-9_-]{20,}"),
    Rule("bitbucket", "ATBB", r"\bATBB[A-Za-z0-9=_-]{28,}"),
    Rule("atlassian", "ATATT3", r"\bATATT3[A-Za-z0-9_=-]{60,}"),
    Rule("atlassian", "ATCTT3", r"\bATCTT3[A-Za-z0-9_=-]{60,}"),
    Rule("npm", "npm_", r"\bnpm_[A-Za-z0-9]{36}"),
    Rule("pypi", "pypi-Ag", r"\bpypi-Ag[A-Za-z0-9_-]{50,}"),
    Rule("rubygems", "rubygems_", r"\brubygems_[a-f0-9]{48}"),
    Rule("docker", "dckr_", r"\bdckr_(?:pat|oat)_[A-Za-z0-9_-]{27,}"),
    Rule("nuget", "oy2", r"\boy2[a-z0-9]{43}\b"),
    Rule("crates", "cio", r"\bcio[A-Za-z0-9]{32}\b"),
    Rule("clojars", "CLOJARS_", r"\bCLOJARS_[a-z0-9]{60}"),
    Rule("artifactory", "AKC", r"\bAKCp[A-Za-z0-9]{60,}"),
    Rule("artifactory", "cmVmdGtuOj", r"\bcmVmdGtuOj[A-Za-z0-9]{54}\b"),
    Rule("buildkite", "bk", r"\bbk(?:ua|ut|aj|ct|pi)_[a-f0-9]{40}\b"),
    Rule("snyk", "snyk_", r"\bsnyk_[a-z]{3}\.[a-f0-9]{8}\.[A-Za-z0-9_-]{30,}"),
    Rule("sourcegraph", "sgp_", r"\bsgp_(?:(?:[a-f0-9]{16}|local)_)?[a-f0-9]{40}\b"),
    Rule("harness", "at.", r"\b[ps]at\.[A-Za-z0-9_-]{22}\.[a-f0-9]{24}\.[A-Za-z0-9]{20}\b"),
    Rule("octopus", "API-", r"\bAPI-[A-Z0-9]{26}\b"),
    Rule("prefect", "pn", r"\bpn[bu]_[a-z0-9]{36}\b"),
    Rule("launchdarkly", "sdk-", rf"\bsdk-{UUID}\b"),
    Rule("circleci", "CCI", r"\bCCI(?:PAT|PRJ)_[A-Za-z0-9]{15,}_[a-f0-9]{30,}"),
    Rule("sonarqube", "sq", r"\bsq[upa]_[a-f0-9]{40}\b"),
    # Payment and shops.
    Rule("stripe", "k_", r"\b[srpe]k_(?:org_)?(?:live|test|prod)_[A-Za-z0-9]{10,}"),
    Rule("stripe", "_secret_", r"\b(?:pi|seti|cs|src|pm)_[A-Za-z0-9]{10,40}_secret_[A-Za-z0-9]{10,}"),
    Rule("payment", "sk_", r"\bsk_(?:sbox_)?[A-Za-z0-9]{26,}\b"),
    Rule("payment", "live_", r"\blive_(?:sk_|pub_)?[A-Za-z0-9]{30,}\b"),
    Rule("stripe", "whsec_", r"\bwhsec_[A-Za-z0-9+/=]{24,}"),
    Rule("square", "sq0", r"\bsq0(?:atp|csp|idp)-[A-Za-z0-9_-]{22,}"),
    Rule("square", "EAAA", r"\bEAAA[A-Za-z0-9_-]{60}\b"),
    Rule("braintree", "access_token$", r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}"),
    Rule("shopify", "shp", r"\bshp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{32}"),
    Rule("adyen", "AQE", r"\bAQE[A-Za-z0-9+/=]{40,}-[A-Za-z0-9+/=]{30,}-[\x21-\x7e]{8,16}"),
    Rule("razorpay", "rzp_", r"\brzp_(?:live|test)_[A-Za-z0-9]{14,}"),
    Rule("flutterwave", "FLWSECK", r"\bFLWSECK(?:_TEST)?-?[A-Za-z0-9]{12,}(?:-X)?"),
    Rule("plaid", "access-", r"\baccess-(?:sandbox|development|production)-[0-9a-f-]{36}"),
    Rule("easypost", "EZ", r"\bEZ[AT]K[A-Za-z0-9]{54}\b"),
    Rule("shippo", "shippo_", r"\bshippo_(?:live|test)_[a-f0-9]{40}\b"),
    Rule("duffel", "duffel_", r"\bduffel_(?:live|test)_[A-Za-z0-9_=-]{43}"),
    Rule("paddle", "pdl_", r"\bpdl_(?:live|sdbx)_apikey_[A-Za-z0-9_]{40,}"),
    Rule("klarna", "klarna_", r"\bklarna_(?:live|test)_api_[A-Za-z0-9!?*()/_=+-]{30,}"),
    Rule("sumup", "sup_sk_", r"\bsup_sk_[A-Za-z0-9]{20,}"),
    Rule("polar", "polar_", r"\bpolar_[a-z]{2,4}_[A-Za-z0-9_]{30,}"),
    Rule("mercadopago", "APP_USR-", r"\bAPP_USR-[0-9]{10,20}-[0-9]{6}-[a-f0-9_]{32,}-[0-9]{5,}"),
    Rule("xendit", "xnd_", r"\bxnd_(?:public_)?(?:development|production)_[A-Za-z0-9]{30,}"),
    Rule("midtrans", "Mid-server-", r"\bMid-server-[A-Za-z0-9_-]{20,}"),
    Rule("coinbase", "organizations/", r"organizations/[a-f0-9-]{36}/apiKeys/(?P<secret>[a-f0-9-]{36})"),
    # Mail and messages.
    Rule("sendgrid", "SG.", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{20,}"),
    Rule("mailgun", "key-", r"\bkey-[a-f0-9]{32}\b"),
    Rule("mailgun", "pubkey-", r"\bpubkey-[a-f0-9]{32}\b"),
    Rule("mailgun", "-", r"\b[a-f0-9]{32}-[a-f0-9]{8}-[a-f0-9]{8}\b"),
    Rule("mailersend", "mlsn.", r"\bmlsn\.[a-f0-9]{64}\b"),
    Rule("klaviyo", "pk_", r"\bpk_[a-f0-9]{34}\b"),
    Rule("zoho", "1000.", r"\b1000\.[a-f0-9]{32}\.[a-f0-9]{32}\b"),
    Rule("mailchimp", "-us", r"\b[a-f0-9]{32}-us[0-9]{1,2}\b"),
    Rule("brevo", "xkeysib-", r"\bx(?:keysib|smtpsib)-[a-f0-9]{60,}-[A-Za-z0-9]{16}"),
    Rule("resend", "re_", r"\bre_[A-Za-z0-9]{6,10}_[A-Za-z0-9]{20,30}\b"),
    Rule("slack", "xo", r"\bxox[abcdeoprs](?:\.xox[bp])?-[A-Za-z0-9-]{10,}"),
    Rule("slack", "xapp-", r"\bxapp-[0-9]-[A-Za-z0-9-]{20,}"),
    Rule(
        "slack",
        "hooks.slack.com",
        r"hooks\.slack\.com\\?/(?P<secret>(?:services|workflows|triggers)\\?/[A-Za-z0-9+/\\_-]{20,})",
    ),
    Rule(
        "discord",
        "/webhooks/",
        r"discord(?:app)?\.com\\?/api\\?/(?:v[0-9]+\\?/)?webhooks\\?/(?P<secret>[0-9]{15,}\\?/[A-Za-z0-9_-]{50,})",
    ),
    Rule("discord", "mfa.", r"\bmfa\.[A-Za-z0-9_-]{80,}"),
    Rule("feishu", "hook", rf"open-apis\\?/bot\\?/v2\\?/hook\\?/(?P<secret>{UUID})"),
    Rule("wecom", "qyapi.weixin.qq.com", rf"qyapi\.weixin\.qq\.com[^\s\"']{{1,60}}key=(?P<secret>{UUID})"),
    Rule("dingtalk", "oapi.dingtalk.com", r"oapi\.dingtalk\.com[^\s\"']{1,60}access_token=(?P<secret>[a-f0-9]{64})"),
    Rule("zapier", "hooks.zapier.com", r"hooks\.zapier\.com\\?/hooks\\?/catch\\?/(?P<secret>[0-9]+\\?/[A-Za-z0-9]+)"),
    Rule("matrix", "syt_", r"\bsyt_[A-Za-z0-9+/=]+_[A-Za-z0-9]{20}_[A-Za-z0-9]{6}\b"),
    Rule("intercom", "dG9rO", r"\bdG9rO[A-Za-z0-9+/]{54}=?"),
    Rule("vk", "vk1.a.", r"\bvk1\.a\.[A-Za-z0-9_-]{60,}"),
    Rule("discord", ".", r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,40}\b"),
    Rule("telegram", ":AA", r"\b(?:bot)?(?P<secret>[0-9]{8,10}:AA[A-Za-z0-9_-]{32,34})"),
    Rule("teams", "webhook.office.com", r"webhook\.office\.com\\?/webhookb2\\?/(?P<secret>[A-Za-z0-9@/\\-]{60,})"),
    Rule("twilio", "SK", r"\bSK[a-f0-9]{32}\b"),
    Rule("facebook", "EAACEdEose0cBA", r"\bEAACEdEose0cBA[A-Za-z0-9]{20,}"),
    Rule("instagram", "IGQV", r"\bIGQV[A-Za-z0-9_-]{80,}"),
    Rule("facebook", "EA", r"\bEAA[A-Z][A-Za-z0-9]{80,}"),
    # AI services.
    Rule("openai", "sk-", r"\bsk-(?:proj-|svcacct-|admin-|None-)?[A-Za-z0-9_-]{20,}"),
    Rule("together", "tgp_v1_", r"\btgp_v1_[A-Za-z0-9_-]{40,}"),
    Rule("cerebras", "csk-", r"\bcsk-[a-z0-9]{40,}\b"),
    Rule("jina", "jina_", r"\bjina_[A-Za-z0-9_-]{50,}"),
    Rule("firecrawl", "fc-", r"\bfc-[a-f0-9]{32}\b"),
    Rule("wandb", "wandb_v1_", r"\bwandb_v1_[A-Za-z0-9_]{40,}"),
    Rule("anyscale", "esecret_", r"\besecret_[A-Za-z0-9]{20,}"),
    Rule("e2b", "e2b_", r"\be2b_[a-f0-9]{40}\b"),
    Rule("luma", "luma-", r"\bluma-[A-Za-z0-9-]{50,}"),
    Rule("llamacloud", "llx-", r"\bllx-[A-Za-z0-9]{40,}"),
    Rule("apify", "apify_api_", r"\bapify_api_[A-Za-z0-9]{30,}"),
    Rule("browserbase", "bb_live_", r"\bbb_live_[A-Za-z0-9_-]{20,}"),
    Rule("cursor", "key_", r"\bkey_[a-f0-9]{64}\b"),
    Rule("huggingface", "hf_", r"\bhf_[A-Za-z0-9]{30,}"),
    Rule("huggingface", "api_org_", r"\bapi_org_[A-Za-z0-9]{30,}"),
    Rule("replicate", "r8_", r"\br8_[A-Za-z0-9]{37,}"),
    Rule("groq", "gsk_", r"\bgsk_[A-Za-z0-9]{40,}"),
    Rule("xai", "xai-", r"\bxai-[A-Za-z0-9_-]{60,}"),
    Rule("perplexity", "pplx-", r"\bpplx-[A-Za-z0-9]{40,}"),
    Rule("nvidia", "nvapi-", r"\bnvapi-[A-Za-z0-9_-]{50,}"),
    Rule("fireworks", "fw_", r"\bfw_[A-Za-z0-9]{20,}\b"),
    Rule("langsmith", "lsv2_", r"\blsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}"),
    Rule("pinecone", "pcsk_", r"\bpcsk_[A-Za-z0-9_]{30,}"),
    Rule("tavily", "tvly-", r"\btvly-(?:dev-|prod-)?[A-Za-z0-9]{20,}"),
    # Monitoring and work.
    Rule("sentry", "sntry", r"\bsntry[su]_[A-Za-z0-9+/=_-]{60,}"),
    Rule("grafana", "gl", r"\b(?:glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}|glc_[A-Za-z0-9+/]{32,}={0,3})"),
    Rule("grafana", "eyJrIjoi", r"\beyJrIjoi[A-Za-z0-9+/]{60,}={0,3}"),
    Rule("newrelic", "NR", r"\bNR(?:AK|JS|II|AA)-[A-Za-z0-9_-]{19,}"),
    Rule("dynatrace", "dt0", r"\bdt0[a-z][0-9]{2}\.[A-Z0-9]{8,}\.[A-Z0-9]{60,}"),
    Rule("newrelic", "NRAL", r"\b[a-f0-9]{36}NRAL\b"),
    Rule("honeycomb", "hc", r"\bhc(?:aik|xik|aim|amk|xmk|alk)_[a-z0-9]{50,}"),
    Rule("axiom", "xa", rf"\bxa[ai]t-{UUID}\b"),
    Rule("posthog", "phx_", r"\bphx_[A-Za-z0-9]{40,}"),
    Rule("linear", "lin_", r"\blin_(?:api|oauth)_[A-Za-z0-9]{30,}"),
    Rule("notion", "ntn_", r"\bntn_[A-Za-z0-9]{40,}"),
    Rule("notion", "secret_", r"\bsecret_[A-Za-z0-9]{43}\b"),
    Rule("airtable", "pat", r"\bpat[A-Za-z0-9]{14}\.[a-f0-9]{64}"),
    Rule("asana", "/", r"\b[0-9]/[0-9]{13,20}(?:/[0-9]{13,20})?:[a-f0-9]{32}\b"),
    Rule("clickup", "pk_", r"\bpk_[0-9]{5,12}_[A-Z0-9]{32}\b"),
    Rule("readme", "rdme_", r"\brdme_[a-z0-9]{70}\b"),
    Rule("scalingo", "tk-us-", r"\btk-us-[A-Za-z0-9_-]{40,}"),
    Rule("alchemy", "alcht_", r"\balcht_[A-Za-z0-9]{30}\b"),
    Rule("maxmind", "_mmk", r"\b[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk\b"),
    Rule("defined", "dnkey-", r"\bdnkey-[A-Za-z0-9=_-]{26}-[A-Za-z0-9=_-]{52}"),
    Rule("settlemint", "sm_", r"\bsm_[aps]at_[A-Za-z0-9]{16}\b"),
    Rule("lichess", "lip_", r"\blip_[A-Za-z0-9]{20}\b"),
    Rule("intra42", "s-s4t2", r"\bs-s4t2(?:ud|af)-[a-f0-9]{64}\b"),
    Rule("zuplo", "zpka_", r"\bzpka_[A-Za-z0-9]{20,}_[a-f0-9]{8}\b"),
    Rule("stytch", "secret-", r"\bsecret-(?:live|test)-[A-Za-z0-9_-]{36}=?"),
    Rule("wakatime", "waka_", rf"\bwaka_{UUID}\b"),
    Rule("thunderstore", "tss_", r"\btss_[A-Za-z0-9]{36}\b"),
    Rule("persona", "persona_", rf"\bpersona_(?:production|sandbox)_{UUID}\b"),
    Rule("onfido", "api_", r"\bapi_(?:live|sandbox)(?:_[a-z]{2})?\.[A-Za-z0-9_-]{11}\.[A-Za-z0-9_-]{32}"),
    Rule("canva", "cnvca", r"\bcnvca[A-Za-z0-9_-]{40,}"),
    Rule("frameio", "fio-u-", r"\bfio-u-[A-Za-z0-9_=-]{64}"),
    Rule("figma", "figd_", r"\bfigd_[A-Za-z0-9_-]{40,}"),
    Rule("postman", "PM", r"\bPM(?:AK|AT)-[A-Za-z0-9]{24,26}(?:-[A-Za-z0-9]{34})?"),
    Rule("typeform", "tfp_", r"\btfp_[A-Za-z0-9_.=-]{40,}"),
    Rule("contentful", "CFPAT-", r"\bCFPAT-[A-Za-z0-9_-]{40,}"),
    Rule("dropbox", "sl.", r"\bsl\.(?:u\.)?[A-Za-z0-9_-]{100,}"),
    Rule("hubspot", "pat-", r"\bpat-(?:na|eu|ap)[0-9]-[0-9a-f-]{36}"),
    Rule("mapbox", "sk.ey", r"\bsk\.ey[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"),
    Rule("salesforce", "00D", r"\b00D[A-Za-z0-9]{12,15}![A-Za-z0-9._]{60,}"),
    Rule("okta", "00", r"\bSSWS (?P<secret>00[A-Za-z0-9_-]{38,42})"),
)

EMAIL = Rule(
    "email",
    "",
    r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}(?:@|%40)[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){0,8}\.[A-Za-z]{2,24}\b",
)
