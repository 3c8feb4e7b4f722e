-- Stripe products that are sold beside plans and entitle to none. A product in neither list is told to operators.
CREATE TABLE "add_on_products" (
    "product_id" TEXT NOT NULL,
    "name" TEXT NOT NULL,

    CONSTRAINT "add_on_products_pkey" PRIMARY KEY ("product_id")
);
GRANT SELECT ON add_on_products TO keymargin_app;
GRANT INSERT, UPDATE, DELETE ON add_on_products TO keymargin_system;
