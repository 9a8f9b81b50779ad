//! The environment variables by which people say where the Hub and its cache are.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{Hub, Online};

const ENDPOINT: &str = "https://huggingface.co";

impl Hub {
    /// What the environment says, as Python's client reads it.
    ///
    /// | variable | meaning |
    /// |---|---|
    /// | `HF_ENDPOINT` | base address, `https://huggingface.co` if none |
    /// | `HF_HUB_CACHE` | the cache; else `HF_HOME/hub`, else `~/.cache/huggingface/hub` |
    /// | `HF_TOKEN` | the token; else the file `HF_TOKEN_PATH`, else `HF_HOME/token` |
    /// | `HF_HUB_DISABLE_IMPLICIT_TOKEN` | 1: no token |
    /// | `HF_HUB_OFFLINE` | 1: the cache alone, no request |
    /// | `HF_HUB_DOWNLOAD_TIMEOUT` | seconds without a byte, 10 if none |
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let home = home(&get);
        let cache = get("HF_HUB_CACHE").or_else(|| get("HUGGINGFACE_HUB_CACHE"));
        let cache = cache.map_or_else(|| home.join("hub"), |path| expand(&path, &get));
        let is_set = |name: &str| {
            get(name).is_some_and(|value| {
                ["1", "ON", "YES", "TRUE"].contains(&value.to_uppercase().as_str())
            })
        };
        if is_set("HF_HUB_OFFLINE") {
            return Self::Cache(cache);
        }
        let endpoint = get("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let mut online = Online::new(endpoint, cache);
        if !is_set("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            online.token = token(&home, &get);
        }
        let timeout = get("HF_HUB_DOWNLOAD_TIMEOUT").and_then(|seconds| seconds.parse().ok());
        if let Some(timeout) = timeout.and_then(|s| Duration::try_from_secs_f64(s).ok()) {
            online.timeout = timeout;
        }
        Self::Online(online)
    }
}

fn home(get: &impl Fn(&str) -> Option<String>) -> PathBuf {
    if let Some(home) = get("HF_HOME") {
        return expand(&home, get);
    }
    let cache = get("XDG_CACHE_HOME").unwrap_or_else(|| "~/.cache".to_owned());
    expand(&cache, get).join("huggingface")
}

/// `~/…` is below the user's directory, which no shell has put in here.
fn expand(path: &str, get: &impl Fn(&str) -> Option<String>) -> PathBuf {
    match path.strip_prefix("~/") {
        Some(rest) => {
            let user = get("HOME").or_else(|| get("USERPROFILE"));
            PathBuf::from(user.unwrap_or_default()).join(rest)
        }
        None => PathBuf::from(path),
    }
}

fn token(home: &Path, get: &impl Fn(&str) -> Option<String>) -> Option<String> {
    let said = get("HF_TOKEN").or_else(|| get("HUGGING_FACE_HUB_TOKEN"));
    let in_file = || {
        let path = get("HF_TOKEN_PATH");
        let path = path.map_or_else(|| home.join("token"), |path| expand(&path, get));
        std::fs::read_to_string(path).ok()
    };
    let token = said.or_else(in_file)?.trim().to_owned();
    (!token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(pairs: &[(&str, &str)]) -> Hub {
        Hub::from_variables(|name| {
            let pair = pairs.iter().find(|pair| pair.0 == name);
            pair.map(|pair| pair.1.to_owned())
        })
    }

    fn online(pairs: &[(&str, &str)]) -> Online {
        match hub(pairs) {
            Hub::Online(online) => online,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn places() {
        let check = |pairs: &[(&str, &str)], endpoint: &str, cache: &str| {
            let online = online(pairs);
            assert_eq!(online.endpoint, endpoint);
            assert_eq!(online.cache, Path::new(cache));
        };
        let user = ("HOME", "/u");
        check(&[user], ENDPOINT, "/u/.cache/huggingface/hub");
        check(&[user, ("HF_HOME", "~/h")], ENDPOINT, "/u/h/hub");
        check(&[("HF_HOME", "/h"), ("HF_HUB_CACHE", "/c")], ENDPOINT, "/c");
        check(
            &[("HF_HOME", "/h"), ("HF_ENDPOINT", "http://m/")],
            "http://m",
            "/h/hub",
        );
        check(
            &[user, ("XDG_CACHE_HOME", "/x")],
            ENDPOINT,
            "/x/huggingface/hub",
        );
    }

    #[test]
    fn offline_is_the_cache_alone() {
        for word in ["1", "yes", "True", "on"] {
            let hub = hub(&[("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", word)]);
            assert!(matches!(hub, Hub::Cache(cache) if cache == Path::new("/c")));
        }
        for word in ["0", "no", ""] {
            online(&[("HF_HUB_CACHE", "/c"), ("HF_HUB_OFFLINE", word)]);
        }
    }

    #[test]
    fn tokens() {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().to_str().unwrap();
        let other = dir.path().join("other");
        std::fs::write(dir.path().join("token"), "hf_file\n").unwrap();
        std::fs::write(&other, "hf_other\n").unwrap();
        let check = |pairs: &[(&str, &str)], expected: Option<&str>| {
            assert_eq!(online(pairs).token.as_deref(), expected, "{pairs:?}");
        };
        let home = ("HF_HOME", home);
        check(&[home], Some("hf_file"));
        check(&[home, ("HF_TOKEN", " hf_said ")], Some("hf_said"));
        check(
            &[home, ("HF_TOKEN_PATH", other.to_str().unwrap())],
            Some("hf_other"),
        );
        check(&[home, ("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")], None);
        check(&[("HF_HOME", "/nowhere")], None);
        let said = online(&[home, ("HF_TOKEN", "hf_secret")]);
        assert!(!format!("{said:?}").contains("hf_secret"));
    }

    #[test]
    fn time_outs() {
        let timeout = |seconds| online(&[("HF_HUB_DOWNLOAD_TIMEOUT", seconds)]).timeout;
        assert_eq!(timeout("0.5"), Duration::from_millis(500));
        assert_eq!(timeout("soon"), Duration::from_secs(10));
        assert_eq!(timeout("-1"), Duration::from_secs(10));
    }
}
