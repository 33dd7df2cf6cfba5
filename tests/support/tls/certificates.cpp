#include "support/tls/certificates.hpp"

#include <atomic>
#include <memory>
#include <stdexcept>

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

namespace valkeycache::test {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using X509Certificate = std::unique_ptr<X509, Freed<X509_free>>;
using Extension = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;
using Bio = std::unique_ptr<BIO, Freed<BIO_vfree>>;

void require(bool ok) {
  if (!ok) throw std::runtime_error("OpenSSL could not make a certificate");
}

std::string contents(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Bio holding(const std::string& text) {
  Bio bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  require(bio != nullptr);
  return bio;
}

Key make_key() {
  const KeyContext context(EVP_PKEY_CTX_new_id(EVP_PKEY_EC, nullptr));
  EVP_PKEY* key = nullptr;
  require(context && EVP_PKEY_keygen_init(context.get()) == 1 &&
          EVP_PKEY_CTX_set_ec_paramgen_curve_nid(context.get(), NID_X9_62_prime256v1) == 1 &&
          EVP_PKEY_keygen(context.get(), &key) == 1);
  return Key(key);
}

Key read_key(const std::string& pem) {
  Key key(PEM_read_bio_PrivateKey(holding(pem).get(), nullptr, nullptr, nullptr));
  require(key != nullptr);
  return key;
}

Certificate as_pem(X509* certificate, EVP_PKEY* key) {
  const Bio certificate_bio(BIO_new(BIO_s_mem()));
  const Bio key_bio(BIO_new(BIO_s_mem()));
  require(certificate_bio && key_bio);
  require(PEM_write_bio_X509(certificate_bio.get(), certificate) == 1);
  require(PEM_write_bio_PrivateKey(key_bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1);
  return {contents(certificate_bio.get()), contents(key_bio.get())};
}

// Signed by itself where there is no issuer.
Certificate make(const CertificateOptions& options, bool authority, const Certificate* issuer) {
  static std::atomic<long> serial{1};
  const auto key = make_key();
  const X509Certificate certificate(X509_new());
  require(certificate != nullptr);
  X509* x509 = certificate.get();
  require(X509_set_version(x509, 2) == 1);
  require(ASN1_INTEGER_set(X509_get_serialNumber(x509), serial++) == 1);
  require(X509_gmtime_adj(X509_getm_notBefore(x509), options.from.count()) != nullptr);
  require(X509_gmtime_adj(X509_getm_notAfter(x509), options.until.count()) != nullptr);
  require(X509_set_pubkey(x509, key.get()) == 1);
  auto* subject = X509_get_subject_name(x509);
  require(X509_NAME_add_entry_by_txt(
              subject, "CN", MBSTRING_ASC,
              reinterpret_cast<const unsigned char*>(options.common_name.c_str()), -1, -1, 0) == 1);

  X509Certificate above;
  Key above_key;
  if (issuer) {
    above.reset(PEM_read_bio_X509(holding(issuer->certificate).get(), nullptr, nullptr, nullptr));
    require(above != nullptr);
    above_key = read_key(issuer->key);
  }
  X509* const signer = issuer ? above.get() : x509;
  require(X509_set_issuer_name(x509, X509_get_subject_name(signer)) == 1);

  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, signer, x509, nullptr, nullptr, 0);
  const auto add_extension = [&](int id, const char* value) {
    const Extension extension(X509V3_EXT_conf_nid(nullptr, &context, id, value));
    require(extension && X509_add_ext(x509, extension.get(), -1) == 1);
  };
  if (!options.names.empty()) add_extension(NID_subject_alt_name, options.names.c_str());
  add_extension(NID_basic_constraints, authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  require(X509_sign(x509, issuer ? above_key.get() : key.get(), EVP_sha256()) > 0);
  return as_pem(x509, key.get());
}

}  // namespace

// An authority of itself, so that a client may be told to trust it.
Certificate make_self_signed(const CertificateOptions& options) {
  return make(options, true, nullptr);
}

Authority::Authority(const std::string& name)
    : own_(make({.names = {}, .common_name = name}, true, nullptr)) {}

Authority Authority::intermediate(const std::string& name) const {
  auto own = make({.names = {}, .common_name = name}, true, &own_);
  auto chain = own.certificate + chain_;
  return Authority(std::move(own), std::move(chain));
}

Certificate Authority::issue(const CertificateOptions& options) const {
  auto issued = make(options, false, &own_);
  issued.certificate += chain_;
  return issued;
}

std::string encrypted_key(const std::string& key, const std::string& password) {
  const auto plain = read_key(key);
  const Bio bio(BIO_new(BIO_s_mem()));
  require(bio != nullptr);
  require(PEM_write_bio_PKCS8PrivateKey(bio.get(), plain.get(), EVP_aes_256_cbc(), password.data(),
                                        static_cast<int>(password.size()), nullptr, nullptr) == 1);
  return contents(bio.get());
}

}  // namespace valkeycache::test
